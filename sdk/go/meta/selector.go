package meta

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LabelSelector selects objects by their labels; all of it must match. An empty one
// matches everything, a nil one nothing, as in Kubernetes.
type LabelSelector struct {
	// MatchLabels are labels with exactly these values.
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// MatchExpressions are further requirements.
	MatchExpressions []LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// LabelSelectorOperator relates a label to the values of a requirement.
type LabelSelectorOperator string

// The operators of a requirement.
const (
	// OperatorIn: the label is there with one of the values.
	OperatorIn LabelSelectorOperator = "In"
	// OperatorNotIn: the label is missing, or has another value.
	OperatorNotIn LabelSelectorOperator = "NotIn"
	// OperatorExists: the label is there.
	OperatorExists LabelSelectorOperator = "Exists"
	// OperatorDoesNotExist: the label is missing.
	OperatorDoesNotExist LabelSelectorOperator = "DoesNotExist"
)

// LabelSelectorRequirement is one requirement of a selector.
type LabelSelectorRequirement struct {
	// Key of the label.
	Key string `json:"key"`
	// Operator that relates it to the values.
	Operator LabelSelectorOperator `json:"operator"`
	// Values, for OperatorIn and OperatorNotIn.
	Values []string `json:"values,omitempty"`
}

// Matches tells whether an object with these labels is selected. An operator that
// Kubernetes does not have matches nothing.
func (s *LabelSelector) Matches(labels map[string]string) bool {
	if s == nil {
		return false
	}
	for key, value := range s.MatchLabels {
		if found, present := labels[key]; !present || found != value {
			return false
		}
	}
	for _, requirement := range s.MatchExpressions {
		if !requirement.matches(labels) {
			return false
		}
	}
	return true
}

func (r LabelSelectorRequirement) matches(labels map[string]string) bool {
	value, present := labels[r.Key]
	switch r.Operator {
	case OperatorIn:
		return present && slices.Contains(r.Values, value)
	case OperatorNotIn:
		return !present || !slices.Contains(r.Values, value)
	case OperatorExists:
		return present
	case OperatorDoesNotExist:
		return !present
	default:
		return false
	}
}

// String is the selector as a query writes it, such as app=web,tier in (a,b), which is
// the form that listers and lists take. A nil selector, which matches nothing, has no such
// form: do not list by it.
func (s *LabelSelector) String() string {
	if s == nil {
		return ""
	}
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		terms = append(terms, key+"="+s.MatchLabels[key])
	}
	for _, requirement := range s.MatchExpressions {
		terms = append(terms, requirement.String())
	}
	return strings.Join(terms, ",")
}

// String is the requirement as a query writes it.
func (r LabelSelectorRequirement) String() string {
	values := strings.Join(r.Values, ",")
	switch r.Operator {
	case OperatorIn:
		return fmt.Sprintf("%s in (%s)", r.Key, values)
	case OperatorNotIn:
		return fmt.Sprintf("%s notin (%s)", r.Key, values)
	case OperatorDoesNotExist:
		return "!" + r.Key
	default:
		return r.Key
	}
}
