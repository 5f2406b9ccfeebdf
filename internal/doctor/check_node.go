package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// checkNode judges whether the node's name is its own.
func checkNode() check {
	return check{
		id: "node", title: "the node's name on NATS", machine: true,
		why:  "a node whose name another run answers to does not serve control",
		look: func(f *Facts) []Finding { return f.Answers.node },
	}
}

// ErrElsewhere is what Node.Who answers when another check tells why it cannot ask.
var ErrElsewhere = errors.New("another check tells why")

// ask asks who goes by the name. One answer may be this host's own service.
func (n *Node) ask(ctx context.Context, ferries []int) []Finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result := func(s Severity, text, fix string) []Finding {
		return []Finding{{Severity: s, Subject: n.Name, Found: text, Fix: fix}}
	}
	runs, err := n.Who(ctx)
	switch {
	case errors.Is(err, ErrElsewhere):
		return nil
	case err != nil:
		return result(Unknown, "cannot be told: "+err.Error(), "")
	case len(runs) == 0:
		return result(OK, "nobody else goes by it", "")
	case len(runs) == 1 && len(ferries) > 0:
		return result(OK, fmt.Sprintf("the run that answers is taken for the one on this host (pid %d)", ferries[0]), "")
	}
	return result(Fail, fmt.Sprintf("another run goes by it: %s", strings.Join(runs, ", ")), "ctferry nodes "+quoteShell(n.Name))
}
