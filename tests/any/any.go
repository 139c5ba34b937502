// SPDX-License-Identifier: MIT

// A static Go program, client and server, for the tests of "punch --any".
//
//	any dial ADDRESS [N [HOLD]]	N connections at once; each sends a line and wants it back; HOLD: of so many bytes
//	any timeout ADDRESS MS		give up after so many milliseconds
//	any serve ADDRESS [FILE]	echo; the far ends' addresses go to FILE
//	any keep ADDRESS PAUSE		one connection; a line before and after PAUSE (a file) exists, then another connection
//	any run COMMAND...		be its parent
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func die(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

// Network errors end with the errno's text; tests want its name alone.
func name(err error) string {
	var errno syscall.Errno

	if e, ok := err.(net.Error); ok && e.Timeout() && !errors.As(err, &errno) {
		return "timeout"
	}
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

func dial(address string, limit time.Duration) net.Conn {
	c, err := net.DialTimeout("tcp", address, limit)
	if err != nil {
		die("%s", name(err))
	}
	return c
}

func exchange(c net.Conn, size int) {
	sent := append(bytes.Repeat([]byte("x"), size), '\n')
	go func() {
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		die("%d bytes of %d came back: %v", len(got), len(sent), err)
	}
	c.Close()
}

func many(address string, n, size int) {
	var all sync.WaitGroup
	var remote string

	for i := 0; i < n; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			c := dial(address, 20*time.Second)
			if i == 0 {
				remote = c.RemoteAddr().String()
			}
			exchange(c, size)
		}(i)
	}
	all.Wait()
	fmt.Println(n, remote)
}

func serve(address, file string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		die("%s", name(err))
	}
	for {
		c, err := l.Accept()
		if err != nil {
			die("%s", name(err))
		}
		if file != "" {
			f, _ := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0644)
			fmt.Fprintln(f, c.RemoteAddr())
			f.Close()
		}
		go func() {
			io.Copy(c, c)
			c.Close()
		}()
	}
}

func keep(address, pause string) {
	line := make([]byte, 1)
	c := dial(address, 20*time.Second)
	for i := 0; i < 2; i++ {
		c.Write([]byte("l"))
		if _, err := io.ReadFull(c, line); err != nil {
			die("%v", err)
		}
		if i == 0 {
			fmt.Println("connected")
			for {
				if _, err := os.Stat(pause); err == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	fmt.Println("alive")
	dial(address, 20*time.Second)
	fmt.Println("connected again")
}

func number(i int) int {
	if len(os.Args) <= i {
		return 0
	}
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		die("%v", err)
	}
	return n
}

func main() {
	switch os.Args[1] {
	case "dial":
		n := number(3)
		if n == 0 {
			n = 1
		}
		many(os.Args[2], n, number(4))
	case "timeout":
		dial(os.Args[2], time.Duration(number(3))*time.Millisecond)
		fmt.Println("connected")
	case "serve":
		serve(os.Args[2], append(os.Args, "")[3])
	case "keep":
		keep(os.Args[2], os.Args[3])
	case "run":
		c := exec.Command(os.Args[2], os.Args[3:]...)
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		if err := c.Run(); err != nil {
			die("%v", err)
		}
	}
}
