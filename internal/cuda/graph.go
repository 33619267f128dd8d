//go:build cuda && cgo && linux

package cuda

// #include <cuda.h>
import "C"

// Graph is captured work: a description that cannot run by itself.
type Graph struct {
	device *Device
	g      C.CUgraph
}

// BeginCapture makes the stream record what is enqueued, on it alone, instead of
// doing it. Other threads and their devices are not disturbed (the thread-local
// mode); this one must neither allocate nor wait until EndCapture.
func (s *Stream) BeginCapture() error {
	code := C.cuStreamBeginCapture_v2(s.raw, C.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
	if err := s.device.note(failed("cuStreamBeginCapture", code)); err != nil {
		return err
	}
	s.capturing = true
	return nil
}

// EndCapture ends the recording, also after a failed call, and gives the graph.
func (s *Stream) EndCapture() (*Graph, error) {
	s.capturing = false
	g := &Graph{device: s.device}
	code := C.cuStreamEndCapture(s.raw, &g.g)
	if err := s.device.note(failed("cuStreamEndCapture", code)); err != nil {
		return nil, err
	}
	return g, nil
}

// Capture records what enqueue enqueues. The stream is out of its recording
// whatever happens.
func (s *Stream) Capture(enqueue func() error) (*Graph, error) {
	if err := s.BeginCapture(); err != nil {
		return nil, err
	}
	if err := enqueue(); err != nil {
		if g, e := s.EndCapture(); e == nil {
			_ = g.Close()
		}
		return nil, err
	}
	return s.EndCapture()
}

// Instantiate makes the graph runnable. The graph may be closed afterwards.
func (g *Graph) Instantiate() (*Exec, error) {
	e := &Exec{device: g.device}
	code := C.cuGraphInstantiateWithFlags(&e.e, g.g, 0)
	if err := g.device.note(failed("cuGraphInstantiate", code)); err != nil {
		return nil, err
	}
	return e, nil
}

// Close destroys the description.
func (g *Graph) Close() error {
	return g.device.note(failed("cuGraphDestroy", C.cuGraphDestroy(g.g)))
}

// Exec is a graph that can be launched.
type Exec struct {
	device *Device
	e      C.CUgraphExec
}

// Update gives the runnable graph the arguments of another one of the same shape.
// Where the shapes differ it fails and changes nothing: instantiate anew.
func (e *Exec) Update(g *Graph) error {
	var info C.CUgraphExecUpdateResultInfo
	code := C.cuGraphExecUpdate_v2(e.e, g.g, &info)
	return e.device.note(failed("cuGraphExecUpdate", code))
}

// Close destroys it when no launch of it runs any more.
func (e *Exec) Close() error {
	return e.device.note(failed("cuGraphExecDestroy", C.cuGraphExecDestroy(e.e)))
}

// LaunchGraph enqueues all of a graph in one call that allocates nothing.
func (s *Stream) LaunchGraph(e *Exec) error {
	code := C.cuGraphLaunch(e.e, s.raw)
	if code == C.CUDA_SUCCESS {
		return nil
	}
	return s.device.note(failed("cuGraphLaunch", code))
}
