package server

import (
	"net"
	"net/http"
	"sync"
)

// limitedListener bounds the connections that are open at once. The http.Server
// that accepts them says when they end, by state.
type limitedListener struct {
	net.Listener
	free chan struct{}
	once sync.Once
	done chan struct{}
}

func limitConnections(l net.Listener, most int) *limitedListener {
	return &limitedListener{Listener: l, free: make(chan struct{}, most), done: make(chan struct{})}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
	}
	return c, err
}

// state is http.Server.ConnState: a connection that has ended makes room.
func (l *limitedListener) state(_ net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		<-l.free
	}
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}
