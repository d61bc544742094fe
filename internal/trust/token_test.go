package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestATokenIsReadAsItWasWritten(t *testing.T) {
	ca := [32]byte{1, 2, 3}
	want := newToken(ca, "abcdefgh2345")
	got, err := ParseToken(" " + want.text() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if got.ca != ca || got.id != "abcdefgh2345" || *got.secret != *want.secret {
		t.Errorf("read %x %s %x, want %x %s %x", got.ca, got.id, *got.secret, ca, "abcdefgh2345", *want.secret)
	}
}

func TestWhatIsNoTokenIsToldWithoutRepeatingIt(t *testing.T) {
	whole := newToken([32]byte{}, "abcdefgh2345").text()
	parts := strings.Split(whole, ".")
	secret := parts[3]
	// The last of 43 characters has two bits that are nothing.
	spare := secret[:42] + string("BCD"[0])
	for text, want := range map[string]string{
		"":                                    `one begins with hydra1., see "hydra token create"`,
		"something else":                      `one begins with hydra1., see "hydra token create"`,
		"hydra2." + parts[1] + "." + parts[2]: "another version of hydra made it: use that version, or a token of this one",
		"hydra1":                              "it has 1 parts with dots between them, and not 4: copy the whole line",
		whole + ".":                           "it has 5 parts with dots between them, and not 4: copy the whole line",
		whole[:len(whole)-1]:                  "its fourth part, the secret, has 42 characters, and not 43: copy the whole line",
		whole + "A":                           "its fourth part, the secret, has 44 characters, and not 43: copy the whole line",
		strings.Replace(whole, parts[1], "AAA", 1):                      "its second part, the hash of the CA, has 3 characters, and not 43: copy the whole line",
		strings.Replace(whole, "abcdefgh2345", "ABCDEFGH2345", 1):       "its third part, the id, is not 12 characters of a-z and 2-7",
		strings.Replace(whole, "abcdefgh2345", "", 1):                   "its third part, the id, is not 12 characters of a-z and 2-7",
		strings.Replace(whole, secret, "+"+secret[1:], 1):               "its fourth part, the secret, has characters that do not belong there",
		strings.Replace(whole, secret, spare, 1):                        "its fourth part, the secret, has characters that do not belong there",
		strings.Replace(whole, secret, secret[:20]+"\n"+secret[21:], 1): "its fourth part, the secret, has a line end in it",
	} {
		_, err := ParseToken(text)
		if err == nil || err.Error() != "this is no token: "+want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

// prints are all ways to print something that come to mind.
func prints(v any) map[string]string {
	all := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		if verb == "%T %v" {
			all[verb] = fmt.Sprintf(verb, v, v)
			continue
		}
		all[verb] = fmt.Sprintf(verb, v)
		all["slice "+verb] = fmt.Sprintf(verb, []any{v})
		all["struct "+verb] = fmt.Sprintf(verb, struct{ V any }{v})
	}
	all["print"] = fmt.Sprint(v)
	for _, h := range []string{"text", "json"} {
		var b bytes.Buffer
		if h == "text" {
			slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
		} else {
			slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
		}
		all["slog "+h] = b.String()
	}
	return all
}

func TestATokenDoesNotPrintItsSecret(t *testing.T) {
	token := newToken([32]byte{}, "abcdefgh2345")
	all := prints(token)
	for way, s := range prints(&token) {
		all["pointer "+way] = s
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		all["hidden "+verb] = fmt.Sprintf(verb, struct{ hidden Token }{token})
	}
	js, err := json.Marshal(struct{ Any any }{token})
	if err != nil {
		t.Fatal(err)
	}
	all["json"] = string(js)
	secret := token.secret[:]
	for way, s := range all {
		for _, form := range []string{
			string(secret[:6]),
			fmt.Sprintf("%x", secret[:6]),
			fmt.Sprintf("%X", secret[:6]),
			strings.Trim(fmt.Sprint(secret[:6]), "[]"),
			strings.TrimSuffix(fmt.Sprintf("%#v", secret[:6])[len("[]byte{"):], "}"),
			base64.RawURLEncoding.EncodeToString(secret)[:8],
			base64.StdEncoding.EncodeToString(secret)[:8],
		} {
			if strings.Contains(s, form) {
				t.Errorf("%s shows the secret as %q: %q", way, form, s)
			}
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, token); got != "token abcdefgh2345" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	whole := newToken([32]byte{7}, "abcdefgh2345").text()
	for _, seed := range []string{"", whole, whole + "\n", whole[:50], "hydra2.x", "hydra1...", strings.Replace(whole, ".", "..", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			return
		}
		// Each token has one text.
		if got := token.text(); got != strings.TrimSpace(text) {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}
