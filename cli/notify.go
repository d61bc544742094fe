package cli

import (
	"context"

	"github.com/coreos/go-systemd/v22/daemon"
)

// What a service tells the manager that started it, if that is systemd and the unit says
// Type=notify: when it is ready, and when it begins to end. Without one nothing is told. The
// commands that exec starts have the socket too, and are not listened to: NotifyAccess=main.

// ready tells that the service does its work.
func (c *call) ready(status string) { c.notify(daemon.SdNotifyReady + "\nSTATUS=" + escaped(status)) }

// endsWith tells that the service ends when ctx does. What it returns is called when it has
// ended.
func (c *call) endsWith(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { c.notify(daemon.SdNotifyStopping) })
}

func (c *call) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		c.logger.Warn("the service manager could not be told", "err", err)
	}
}
