package meta

import "time"

// ConditionStatus tells whether a condition holds.
type ConditionStatus string

// The statuses of a condition.
const (
	// ConditionTrue: it holds.
	ConditionTrue ConditionStatus = "True"
	// ConditionFalse: it does not.
	ConditionFalse ConditionStatus = "False"
	// ConditionUnknown: nobody can tell.
	ConditionUnknown ConditionStatus = "Unknown"
)

// Condition is one aspect of an object's state, in its status.
type Condition struct {
	// Type is what it is about, such as Ready; used once in a list.
	Type string `json:"type"`
	// Status tells whether it holds.
	Status ConditionStatus `json:"status"`
	// ObservedGeneration is the metadata.generation that this was found out for.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// LastTransitionTime is when the status last changed.
	LastTransitionTime Time `json:"lastTransitionTime"`
	// Reason says why, in CamelCase.
	Reason string `json:"reason"`
	// Message says why, for people.
	Message string `json:"message"`
}

// FindCondition is the condition of this type, or nil.
func FindCondition(conditions []Condition, conditionType string) *Condition {
	for i := range conditions {
		if conditions[i].Type == conditionType {
			return &conditions[i]
		}
	}
	return nil
}

// IsConditionTrue tells whether the condition of this type is there and holds.
func IsConditionTrue(conditions []Condition, conditionType string) bool {
	condition := FindCondition(conditions, conditionType)
	return condition != nil && condition.Status == ConditionTrue
}

// SetCondition is the list with this condition in place of the one of its type, or at the
// end. Its LastTransitionTime is now if the status changed, else what it was. The list
// that was passed in stays as it is.
func SetCondition(conditions []Condition, condition Condition, now time.Time) []Condition {
	condition.LastTransitionTime = Time{now.UTC().Truncate(time.Second)}
	set := append([]Condition(nil), conditions...)
	if old := FindCondition(set, condition.Type); old != nil {
		if old.Status == condition.Status {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		*old = condition
		return set
	}
	return append(set, condition)
}

// RemoveCondition is the list without the condition of this type. The list that was passed
// in stays as it is.
func RemoveCondition(conditions []Condition, conditionType string) []Condition {
	var kept []Condition
	for _, condition := range conditions {
		if condition.Type != conditionType {
			kept = append(kept, condition)
		}
	}
	return kept
}
