// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

func newEtcd() *cobra.Command {
	var dir, client, peer string
	c := &cobra.Command{
		Use:          "etcd",
		Short:        "one etcd member, without fsync",
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			cu, err := url.Parse(client)
			if err != nil {
				return err
			}
			pu, err := url.Parse(peer)
			if err != nil {
				return err
			}
			cfg := embed.NewConfig()
			cfg.Dir = dir
			cfg.Name = "test"
			cfg.LogLevel = "warn"
			cfg.LogOutputs = []string{"stderr"}
			cfg.UnsafeNoFsync = true
			cfg.ListenClientUrls = []url.URL{*cu}
			cfg.AdvertiseClientUrls = []url.URL{*cu}
			cfg.ListenPeerUrls = []url.URL{*pu}
			cfg.AdvertisePeerUrls = []url.URL{*pu}
			cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
			e, err := embed.StartEtcd(cfg)
			if err != nil {
				return err
			}
			defer e.Close()
			sig := make(chan os.Signal, 1)
			signal.Notify(sig, syscall.SIGTERM, syscall.SIGINT)
			select {
			case <-e.Server.ReadyNotify():
			case <-time.After(30 * time.Second):
				return fmt.Errorf("etcd not ready after 30 s")
			}
			select {
			case <-sig:
				return nil
			case err := <-e.Err():
				return err
			}
		},
	}
	c.Flags().StringVar(&dir, "data-dir", "", "data directory")
	c.Flags().StringVar(&client, "client-url", "http://127.0.0.1:2379", "client URL")
	c.Flags().StringVar(&peer, "peer-url", "http://127.0.0.1:2380", "peer URL")
	return c
}
