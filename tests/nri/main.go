// SPDX-License-Identifier: Apache-2.0

// nri-runtime is the runtime's half of NRI without a runtime: the real adaptation package of
// containerd and CRI-O, driven by JSON lines on standard input, one answer on standard output for
// each. Between it and the plugin lies a relay that records the bytes of both directions.
//
//	{"do": "start"}                          listen; what pods and containers say is told to plugins
//	{"do": "pods", "pods": [...], "containers": [...]}
//	{"do": "await", "count": 2}              until so many plugins have been synchronised and get hooks
//	{"do": "run" | "stop" | "remove", "pod": {...}}
//	{"do": "create", "pod": {...}, "container": {...}}
//	{"do": "end"}                            as a runtime that stops; start begins anew
//
// An answer is {"error": "", "ms": 12}: what the runtime would have seen, and after how long.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/log"
)

type command struct {
	Do         string                   `json:"do"`
	Count      int                      `json:"count"`
	Pod        *adaptation.PodSandbox   `json:"pod"`
	Container  *adaptation.Container    `json:"container"`
	Pods       []*adaptation.PodSandbox `json:"pods"`
	Containers []*adaptation.Container  `json:"containers"`
}

type answer struct {
	Error string `json:"error"`
	Ms    int64  `json:"ms"`
}

type runtime struct {
	socket string
	record string
	nri    *adaptation.Adaptation
	relay  net.Listener

	mu         sync.Mutex
	changed    *sync.Cond
	pods       []*adaptation.PodSandbox
	containers []*adaptation.Container
	active     int
	plugins    []net.Conn
}

func (r *runtime) start() error {
	inner := r.socket + ".runtime"
	nri, err := adaptation.New("containerd", "v0.0.0-test", r.synchronize, refuseUpdates,
		adaptation.WithSocketPath(inner), adaptation.WithPluginPath(filepath.Dir(r.socket)+"/none"),
		adaptation.WithPluginConfigPath(filepath.Dir(r.socket)+"/none"))
	if err != nil {
		return err
	}
	if err := nri.Start(); err != nil {
		return err
	}
	r.nri = nri
	r.relay, err = net.Listen("unix", r.socket)
	if err != nil {
		return err
	}
	go r.accept(r.relay, inner)
	return nil
}

func (r *runtime) end() error {
	if r.nri == nil {
		return nil
	}
	r.relay.Close()
	r.nri.Stop()
	r.nri = nil
	// Stop leaves plugins connected: they end with the runtime's process.
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, plugin := range r.plugins {
		plugin.Close()
	}
	r.plugins = nil
	return nil
}

func (r *runtime) synchronize(ctx context.Context, tell adaptation.SyncCB) error {
	r.mu.Lock()
	pods, containers := r.pods, r.containers
	r.mu.Unlock()
	if _, err := tell(ctx, pods, containers); err != nil {
		fmt.Fprintln(os.Stderr, "synchronize:", err)
		return err
	}
	return nil
}

// Of the adaptation's log only errors are shown; but it alone tells when a plugin that has been
// synchronised begins to get hooks.
func (r *runtime) Debugf(context.Context, string, ...interface{}) {}
func (r *runtime) Warnf(context.Context, string, ...interface{})  {}
func (r *runtime) Errorf(_ context.Context, format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
func (r *runtime) Infof(_ context.Context, format string, _ ...interface{}) {
	if strings.HasPrefix(format, "plugin %q connected") {
		r.mu.Lock()
		r.active++
		r.mu.Unlock()
		r.changed.Broadcast()
	}
}

func refuseUpdates(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
	return nil, fmt.Errorf("nobody asked for container updates")
}

// accept relays each connection of a plugin to the adaptation.
func (r *runtime) accept(listener net.Listener, inner string) {
	for {
		plugin, err := listener.Accept()
		if err != nil {
			return
		}
		adapted, err := net.Dial("unix", inner)
		if err != nil {
			plugin.Close()
			continue
		}
		r.mu.Lock()
		r.plugins = append(r.plugins, plugin)
		r.mu.Unlock()
		recording := &recording{path: r.record}
		go relay(recording, "runtime", adapted, plugin)
		go relay(recording, "plugin", plugin, adapted)
	}
}

// recording is one conversation, rewritten by each connection.
type recording struct {
	mu   sync.Mutex
	path string
	file *os.File
}

func (r *recording) add(from string, bytes []byte) {
	if r.path == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		file, err := os.Create(r.path)
		if err != nil {
			fmt.Fprintln(os.Stderr, "record:", err)
			r.path = ""
			return
		}
		r.file = file
	}
	fmt.Fprintf(r.file, "{\"from\":%q,\"bytes\":%q}\n", from, hex.EncodeToString(bytes))
}

func relay(to *recording, from string, source, sink net.Conn) {
	buffer := make([]byte, 1<<20)
	for {
		size, err := source.Read(buffer)
		if size > 0 {
			to.add(from, buffer[:size])
			if _, err := sink.Write(buffer[:size]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	source.Close()
	sink.Close()
}

func (r *runtime) await(count int) error {
	limit := time.AfterFunc(20*time.Second, r.changed.Broadcast)
	defer limit.Stop()
	until := time.Now().Add(20 * time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.active < count {
		if !time.Now().Before(until) {
			return fmt.Errorf("%d plugins became active, not %d", r.active, count)
		}
		r.changed.Wait()
	}
	return nil
}

func (r *runtime) execute(c command) error {
	ctx := context.Background()
	switch c.Do {
	case "start":
		return r.start()
	case "end":
		return r.end()
	case "pods":
		r.mu.Lock()
		r.pods, r.containers = c.Pods, c.Containers
		r.mu.Unlock()
		return nil
	case "await":
		return r.await(c.Count)
	case "run":
		return runPodSandbox(ctx, r.nri, c.Pod)
	case "stop":
		return stopPodSandbox(ctx, r.nri, c.Pod)
	case "remove":
		return removePodSandbox(ctx, r.nri, c.Pod)
	case "create":
		_, err := r.nri.CreateContainer(ctx, &adaptation.CreateContainerRequest{Pod: c.Pod, Container: c.Container})
		return err
	}
	return fmt.Errorf("unknown command %q", c.Do)
}

func main() {
	r := &runtime{}
	r.changed = sync.NewCond(&r.mu)
	log.Set(r)
	flag.StringVar(&r.socket, "socket", "", "where plugins connect")
	flag.StringVar(&r.record, "record", "", "file for the bytes of the last connection")
	timeout := flag.Duration("request-timeout", adaptation.DefaultPluginRequestTimeout, "of each call of a plugin")
	flag.Parse()
	adaptation.SetPluginRequestTimeout(*timeout)

	commands := json.NewDecoder(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		var c command
		if err := commands.Decode(&c); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "command:", err)
			os.Exit(2)
		}
		begun := time.Now()
		a := answer{}
		if err := r.execute(c); err != nil {
			a.Error = err.Error()
		}
		a.Ms = time.Since(begun).Milliseconds()
		answers.Encode(a)
	}
}
