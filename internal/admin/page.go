package admin

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// The parts of the page; they are put together into one document.
//
//go:embed page/page.html page/page.css page/page.js
var pageFiles embed.FS

// noContent is the policy of everything that is no page.
const noContent = "default-src 'none'; frame-ancestors 'none'"

// page is the document, and the policy that lets it do what it does and no more:
// run this script, show this style, ask its own server.
type page struct{ text, policy string }

// newPage puts the parts together. They are part of the program: what fails
// here fails in every test.
func newPage() *page {
	style, script := part("page.css"), part("page.js")
	text := strings.NewReplacer("/*STYLE*/", style, "/*SCRIPT*/", script).Replace(part("page.html"))
	policy := fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		hashOf(script), hashOf(style))
	return &page{text, policy}
}

func part(name string) string {
	text, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// ServeHTTP gives the page.
func (p *page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", p.policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(p.text)) // whoever asked is gone
}
