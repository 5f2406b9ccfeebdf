package sinks

import (
	"errors"
	"fmt"
	"strings"
)

// kafkaTopicLen is the longest name of a topic (org.apache.kafka.common.internals.Topic).
const kafkaTopicLen = 249

// kafkaTopicTemplate is a topic's name with fields in braces.
type kafkaTopicTemplate struct{ template }

// parseKafkaTopic reads a template. Its errors name the column, counted from 1.
func parseKafkaTopic(s string) (kafkaTopicTemplate, error) {
	if s == "" {
		return kafkaTopicTemplate{}, errors.New("missing: expected a topic's name")
	}
	parsed, err := parseTemplate(s, templateSigns{legal: kafkaTopicRune, expected: "letters, digits, '.', '_', '-'"})
	if err != nil {
		return kafkaTopicTemplate{}, err
	}
	t := kafkaTopicTemplate{parsed}
	if t.fixed() && (len(s) > kafkaTopicLen || s == "." || s == "..") {
		return kafkaTopicTemplate{}, fmt.Errorf("%q cannot be a topic's name", s)
	}
	if len(s) > 2*kafkaTopicLen {
		return kafkaTopicTemplate{}, fmt.Errorf("too long: expected at most %d bytes", 2*kafkaTopicLen)
	}
	return t, nil
}

func kafkaTopicRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}

// expand gives the name: signs that a topic cannot have become '_', and what
// is absent (a gap has no family) "none"; the service's own namespace is "host".
func (t kafkaTopicTemplate) expand(k templateKey) string {
	name := t.template.expand(func(field string) string {
		v := k.value(field)
		switch {
		case v != "":
			return replaceRunes(v, kafkaTopicRune)
		case field == "netns":
			return "host"
		}
		return "none"
	})
	name = name[:min(len(name), kafkaTopicLen)]
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "_")
	}
	return name
}
