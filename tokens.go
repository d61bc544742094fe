package hydra

import (
	"context"
	"time"

	"github.com/hydrawalk/hydra/internal/wire"
)

// Role says what somebody may do who joins a server with a token.
type Role string

// The roles. The user who runs the server may do all, and alone hands out tokens.
const (
	RoleClient   Role = "client"   // works on jobs
	RoleOperator Role = "operator" // submits jobs and steers them, and looks at all
	RoleViewer   Role = "viewer"   // looks at jobs, their progress and results
)

// TokenOptions of a token that is to be made.
type TokenOptions struct {
	Role Role
	// Life is how long somebody can join with it. Who has joined stays.
	Life time.Duration
	// Once lets it be used once.
	Once bool
}

// Token is one that a server has made.
type Token struct {
	ID      string
	Role    Role
	Once    bool
	Status  string // usable, or why it is not any more
	Created time.Time
	Until   time.Time
	Used    time.Time // when somebody joined with it last; zero: nobody did
	Joined  []Member
}

// Member is somebody who has joined with a token.
type Member struct {
	ID      string
	Host    string // as it called itself
	Joined  time.Time
	Until   time.Time // when its certificate expires, unless it is renewed
	Revoked bool
}

// CreateToken makes a token, and returns its text, which the server does not know any
// more: see [Access]. Only the user who runs the server may do it.
func (s *Server) CreateToken(ctx context.Context, o TokenOptions) (Token, string, error) {
	answer, err := s.ask(ctx, wire.Ask{Kind: wire.AskTokenCreate, Token: &wire.TokenAsk{Role: string(o.Role), Life: o.Life, Once: o.Once}})
	if err != nil {
		return Token{}, "", err
	}
	return theToken(answer), answer.Secret, nil
}

// Tokens are those that the server has made, the oldest first.
func (s *Server) Tokens(ctx context.Context) ([]Token, error) {
	var all []Token
	after := ""
	for {
		answer, err := s.ask(ctx, wire.Ask{Kind: wire.AskTokenList, Token: &wire.TokenAsk{ID: after}})
		if err != nil {
			return nil, err
		}
		for i := range answer.Tokens {
			all = append(all, tokenFrom(&answer.Tokens[i]))
			after = answer.Tokens[i].ID
		}
		if !answer.More || len(answer.Tokens) == 0 {
			return all, nil
		}
	}
}

// RevokeToken takes away what an ID stands for: a token and all who joined with it, or one
// of them. It returns those who were cut off.
func (s *Server) RevokeToken(ctx context.Context, id string) ([]Member, error) {
	answer, err := s.ask(ctx, wire.Ask{Kind: wire.AskTokenRevoke, Token: &wire.TokenAsk{ID: id}})
	if err != nil {
		return nil, err
	}
	return theToken(answer).Joined, nil
}

func theToken(a *wire.Answer) Token {
	if len(a.Tokens) == 0 {
		return Token{}
	}
	return tokenFrom(&a.Tokens[0])
}

func tokenFrom(t *wire.Token) Token {
	token := Token{ID: t.ID, Role: Role(t.Role), Once: t.Once, Status: t.Status, Created: t.Created, Until: t.Until, Used: t.Used}
	for _, m := range t.Joined {
		token.Joined = append(token.Joined, Member(m))
	}
	return token
}
