package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/selection"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tokenCommand is about who may join a server.
func (p *program) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Say who may join a server, and as what",
		GroupID: "cluster",
		Long: `Say who may join a server, and as what. Tokens are for servers that listen where other
hosts can reach them: whoever joins with one gets a certificate of its own, of which
the key never leaves that host, and needs the token no more. Certificates are good
for 90 days, and are renewed by themselves while they are used.

A client works on jobs. An operator submits jobs, steers them and reads results. A
viewer looks at jobs and results. Only the user who runs the server hands out tokens,
on the machine where it runs.`,
	}
	cmd.AddCommand(p.tokenCreate(), p.tokenList(), p.tokenRevoke())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return cmd.Help()
	}
	return cmd
}

// defaultTTL is how long a token can be used if nothing else is said.
const defaultTTL = 24 * time.Hour

func (p *program) tokenCreate() *cobra.Command {
	var o hydra.TokenOptions
	role, life, file := "", selection.Age(defaultTTL), ""
	cmd := p.jobOrLocal(&cobra.Command{
		Use:   "create [flags]",
		Short: "Make a token to join with",
		Long: `Make a token to join with, and print it. The server does not know it any more: who
loses it makes another one, and revokes this one.

Give it to others as you would a password: not as an argument, nor in a log. A file of
mode 600, as --output makes one, and --token-file, or HYDRA_TOKEN, are meant for it.`,
		Example: `  # for all clients that join during the next day
  ` + p.name + ` token create --role client -o join.token

  # for one colleague, who has an hour
  ` + p.name + ` token create --role operator --once --ttl 1h`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch hydra.Role(role) {
			case hydra.RoleClient, hydra.RoleOperator, hydra.RoleViewer:
				return cobra.NoArgs(cmd, args)
			case "":
				return errors.New("--role is missing: client, operator or viewer")
			}
			return fmt.Errorf("--role %s: there are client, operator and viewer", role)
		},
	}, func(c *common, f *pflag.FlagSet) {
		f.StringVar(&role, "role", "", "what it is for: client, operator or viewer, `ROLE`")
		f.Var(&life, "ttl", "how long somebody can join with it, as 7d, 12h or 30m: `TIME`")
		f.BoolVar(&o.Once, "once", false, "it is good for one who joins")
		f.StringVarP(&file, "output", "o", "", "write it to `FILE`, of mode 600, and not to standard output")
		defineJSON(c, f)
	}, func(ctx context.Context, c *call, s *hydra.Server, _ []string) error {
		o.Role, o.Life = hydra.Role(role), time.Duration(life)
		out := c.stdout
		if file != "" {
			// First whether there is a place for it.
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := f.Chmod(0o600); err != nil && runtime.GOOS != "windows" {
				return fmt.Errorf("keep %s from others: %w", file, err)
			}
			out = f
		}
		t, text, err := s.CreateToken(ctx, o)
		if err != nil {
			return err
		}
		if c.json {
			return printJSON(out, struct {
				Schema string `json:"schema"`
				Token  string `json:"token"`
				tokenJSON
			}{"hydra.token/1", text, jsonOf(t)})
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
		many := "any number of hosts can join"
		if o.Once {
			many = "one host can join"
		}
		c.say(fmt.Sprintf("token %s: %s as %s until %s", t.ID, many, t.Role, t.Until.Local().Format(time.RFC3339)))
		return nil
	}, nil)
	must(cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"client", "operator", "viewer"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// tokenJSON is a token for programs.
type tokenJSON struct {
	ID      string       `json:"id"`
	Role    hydra.Role   `json:"role"`
	Once    bool         `json:"once"`
	Status  string       `json:"status"`
	Created time.Time    `json:"created"`
	Until   time.Time    `json:"until"`
	Used    *time.Time   `json:"used"`
	Joined  []memberJSON `json:"joined"`
}

type memberJSON struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	Joined  time.Time `json:"joined"`
	Until   time.Time `json:"until"`
	Revoked bool      `json:"revoked"`
}

func jsonOf(t hydra.Token) tokenJSON {
	doc := tokenJSON{ID: t.ID, Role: t.Role, Once: t.Once, Status: t.Status, Created: t.Created.UTC(), Until: t.Until.UTC(), Joined: []memberJSON{}}
	if !t.Used.IsZero() {
		used := t.Used.UTC()
		doc.Used = &used
	}
	for _, m := range t.Joined {
		doc.Joined = append(doc.Joined, memberJSON{m.ID, m.Host, m.Joined.UTC(), m.Until.UTC(), m.Revoked})
	}
	return doc
}

func (p *program) tokenList() *cobra.Command {
	return p.jobOrLocal(&cobra.Command{
		Use:     "list [flags]",
		Aliases: []string{"ls"},
		Short:   "List tokens, and who joined with them",
		Long:    "List the tokens of a server, the oldest first, and below each those who joined with it.",
		Example: "  " + p.name + " token list",
		Args:    cobra.NoArgs,
	}, defineJSON, func(ctx context.Context, c *call, s *hydra.Server, _ []string) error {
		all, err := s.Tokens(ctx)
		if err != nil {
			return err
		}
		if c.json {
			docs := []tokenJSON{}
			for _, t := range all {
				docs = append(docs, jsonOf(t))
			}
			return printJSON(c.stdout, struct {
				Schema string      `json:"schema"`
				Tokens []tokenJSON `json:"tokens"`
			}{"hydra.tokens/1", docs})
		}
		if len(all) == 0 {
			c.say("there are no tokens at " + s.Address())
			return nil
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tRole\tState\tAge\tUntil\tHost")
		for _, t := range all {
			state := t.Status
			if t.Once {
				state += ", once"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", t.ID, t.Role, state, age(time.Since(t.Created)), t.Until.Local().Format(time.DateTime))
			for _, m := range t.Joined {
				state := "joined"
				switch {
				case m.Revoked:
					state = "revoked"
				case time.Now().After(m.Until):
					state = "expired"
				}
				fmt.Fprintf(w, "  %s\t\t%s\t%s\t%s\t%s\n", m.ID, state, age(time.Since(m.Joined)), m.Until.Local().Format(time.DateTime), printable(m.Host))
			}
		}
		return w.Flush()
	}, nil)
}

func (p *program) tokenRevoke() *cobra.Command {
	cmd := p.jobOrLocal(&cobra.Command{
		Use:   "revoke [flags] TOKEN...",
		Short: "Take a token back, and who joined with it",
		Long: `Take back what an ID stands for, as ` + "`token list`" + ` shows it: a token, and with it all who
joined with it; or one of those alone. Their connections are cut at once, and they
can not come back without another token. What clients had counted and written down
stays; the rest is done by others.`,
		Example: "  " + p.name + " token revoke k3j2x1abcdef",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &hintError{errors.New("the ID of a token, or of somebody who joined, is missing"), p.name + " token list"}
			}
			return nil
		},
	}, nil, func(ctx context.Context, c *call, s *hydra.Server, args []string) error {
		for _, id := range args {
			gone, err := s.RevokeToken(ctx, id)
			if err != nil {
				return err
			}
			c.say(fmt.Sprintf("%s is revoked", printable(id)))
			for _, m := range gone {
				c.say(fmt.Sprintf("%s on %s is cut off", m.ID, printable(m.Host)))
			}
		}
		return nil
	}, nil)
	return cmd
}
