package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/reasond/reasond/internal/backend/cpu"
	"github.com/reasond/reasond/internal/config"
	"github.com/reasond/reasond/internal/cuda"
)

type devicesOptions struct {
	json      bool
	libraries config.Libraries
}

func (o *devicesOptions) AddFlags(f *config.Flags) {
	f.Var(config.Bool(&o.json), "json", "", "print a JSON object")
	o.libraries.AddFlags(f)
}

func newDevices(w world) *cobra.Command {
	var o devicesOptions
	c := &cobra.Command{
		Use:   "devices",
		Short: "List what models can run on",
		Long: `List the GPUs that the CUDA driver knows and the CPU, by the names that --device
takes. Where there is no GPU, a line says why; that is no failure.`,
	}
	return command(c, w, o.AddFlags, cobra.NoArgs, func(context.Context, []string) error {
		return runDevices(w, o)
	})
}

func runDevices(w world, o devicesOptions) error {
	m := lookAround(o.libraries)
	if o.json {
		e := json.NewEncoder(w.out)
		e.SetIndent("", "  ")
		return e.Encode(m)
	}
	return m.print(w.out)
}

// machine is what devices prints.
type machine struct {
	Driver string `json:"cuda_driver,omitempty"` // the newest CUDA that it supports
	NoCUDA string `json:"no_cuda,omitempty"`     // why there are no GPUs
	GPUs   []gpu  `json:"gpus"`
	CPU    struct {
		ISA     string `json:"isa"`
		Threads int    `json:"threads"`
	} `json:"cpu"`
}

type gpu struct {
	Device     string `json:"device"`
	Name       string `json:"name"`
	UUID       string `json:"uuid"`
	Capability string `json:"compute_capability"`
	SMs        int    `json:"multiprocessors"`
	Total      int64  `json:"memory_total"`
	Free       *int64 `json:"memory_free"` // null: the GPU cannot be asked
}

// lookAround opens the driver and describes what is there.
func lookAround(l config.Libraries) machine {
	m := machine{GPUs: []gpu{}}
	m.CPU.ISA, m.CPU.Threads = cpu.Host()
	infos, err := openDriver(l)
	if err != nil {
		m.NoCUDA = oneLine(err)
		return m
	}
	m.Driver = cuda.DriverVersion()
	for _, info := range infos {
		g := gpu{
			Device: config.Device{Kind: config.DeviceCUDA, Index: info.Index}.String(), Name: info.Name, UUID: info.UUID,
			Capability: fmt.Sprintf("%d.%d", info.Major, info.Minor), SMs: info.SMs, Total: info.TotalMem,
		}
		if free, err := cuda.FreeMemory(info.Index); err == nil {
			g.Free = &free
		}
		m.GPUs = append(m.GPUs, g)
	}
	return m
}

// openDriver loads the driver and lists its GPUs, of which there is at least one.
func openDriver(l config.Libraries) ([]cuda.DeviceInfo, error) {
	if err := cuda.Open(l.Driver); err != nil {
		return nil, err
	}
	infos, err := cuda.Devices()
	if err == nil && len(infos) == 0 {
		err = cuda.ErrNoDevice
	}
	return infos, err
}

func (m machine) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, g := range m.GPUs {
		free := "free memory unknown"
		if g.Free != nil {
			free = bytesText(*g.Free) + " free"
		}
		fmt.Fprintf(t, "%s\t%s\tcompute capability %s\t%s, %s\n", g.Device, g.Name, g.Capability, bytesText(g.Total), free)
	}
	fmt.Fprintf(t, "%s\t%s kernels\t%s\n", config.DeviceCPU, m.CPU.ISA, plural(m.CPU.Threads, "thread"))
	if err := t.Flush(); err != nil {
		return err
	}
	line := "CUDA driver for CUDA " + m.Driver
	if m.NoCUDA != "" {
		line = "no GPU: " + m.NoCUDA
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// chooseDevice turns what was asked for into cpu or a GPU that is there, with as
// many behind it as are wanted. Only GPUs that were asked for, by name or number,
// are missed; the reason is one line. Where a program that could use a GPU falls
// back on the CPU, why says why.
func chooseDevice(m *config.Model) (d config.Device, why string, err error) {
	onCPU, asked := config.Device{Kind: config.DeviceCPU}, m.Device
	exact := m.DType == "float32"
	switch {
	case asked.Kind == config.DeviceCPU:
		return onCPU, "", checkCPU(m, errors.New("--device cpu"))
	case exact && asked.Kind == config.DeviceAuto:
		const why = "float32 is computed on the CPU"
		return onCPU, why, checkCPU(m, errors.New(why))
	}
	infos, err := openDriver(m.Libraries)
	switch {
	case asked.Kind == config.DeviceCUDA && err != nil:
		return onCPU, "", fmt.Errorf("--device %s: %w", asked, err)
	case asked.Kind == config.DeviceCUDA && exact:
		return onCPU, "", fmt.Errorf("--device %s: --dtype float32 needs the CPU", asked)
	case asked.Kind == config.DeviceCUDA && asked.Index >= len(infos):
		return onCPU, "", fmt.Errorf("--device %s: the driver knows %s", asked, plural(len(infos), "GPU"))
	case errors.Is(err, cuda.ErrNotBuilt):
		return onCPU, "", checkCPU(m, err)
	case err != nil:
		return onCPU, oneLine(err), checkCPU(m, err)
	}
	d = config.Device{Kind: config.DeviceCUDA, Index: asked.Index}
	if need := m.TensorParallel * m.DataParallel; d.Index+need > len(infos) {
		return onCPU, "", fmt.Errorf("--tensor-parallel-size %d, --data-parallel-size %d: %s from %s on are needed, the driver knows %s",
			m.TensorParallel, m.DataParallel, plural(need, "GPU"), d, plural(len(infos), "GPU"))
	}
	return d, "", nil
}

// checkCPU refuses to share a layer among ranks on the CPU, which is no faster
// than one engine with all threads; why says why there is no GPU.
func checkCPU(m *config.Model, why error) error {
	if m.TensorParallel > 1 && !m.CPURanks {
		return fmt.Errorf("--tensor-parallel-size %d: %s are needed (%w)", m.TensorParallel, plural(m.TensorParallel*m.DataParallel, "GPU"), why)
	}
	return nil
}
