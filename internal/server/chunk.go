package server

import (
	"context"
	"net"
	"net/http"
)

// The chunks of a stream (RFC 9112, 7.1). net/http makes them through two buffers
// and a formatted header, which costs a token as much as all of the pipeline. But
// once the header of an HTTP/1.1 answer without a length is out, its connection
// carries chunks and nothing else until the handler returns and net/http ends them.
// So a stream writes its own to the connection from its second write on. The bytes
// are those that net/http would send.

// chunkRoom is what a buffer begins with that is to be a chunk: the longest size.
const chunkRoom = len("7fffffff\r\n")

// roomy is a buffer with room for a chunk's size, emptied.
func roomy(buf []byte) []byte {
	if cap(buf) < chunkRoom {
		return make([]byte, chunkRoom, 512)
	}
	return buf[:chunkRoom]
}

// asChunk makes what stands behind the room a chunk; it begins at the index at.
func asChunk(buf []byte) (whole []byte, at int) {
	const hex = "0123456789abcdef"
	at = chunkRoom - 2
	copy(buf[at:], "\r\n")
	for n := len(buf) - chunkRoom; ; n >>= 4 {
		at--
		buf[at] = hex[n&15]
		if n < 16 {
			return append(buf, "\r\n"...), at
		}
	}
}

type connectionKey struct{}

// withConnection is http.Server.ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// chunksTo is the connection that a request's answer may write chunks to; nil:
// there is none, or its client knows no chunks.
func chunksTo(r *http.Request) net.Conn {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return nil
	}
	c, _ := r.Context().Value(connectionKey{}).(net.Conn)
	return c
}
