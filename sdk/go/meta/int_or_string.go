package meta

import (
	"encoding/json"
	"strconv"
)

// IntOrString is a number or a name, as a Service's targetPort is. The zero value is the
// number 0.
type IntOrString struct {
	number int64
	text   string
	isText bool
}

// FromInt is a number.
func FromInt(number int32) IntOrString { return IntOrString{number: int64(number)} }

// FromInt64 is a number that ports and the like do not reach, such as an amount of memory.
func FromInt64(number int64) IntOrString { return IntOrString{number: number} }

// FromString is a name.
func FromString(text string) IntOrString { return IntOrString{text: text, isText: true} }

// Int is the number, and whether it is one that an int32 holds.
func (v IntOrString) Int() (int32, bool) {
	number := int32(v.number)
	return number, !v.isText && int64(number) == v.number
}

// Int64 is the number, and whether it is one.
func (v IntOrString) Int64() (int64, bool) { return v.number, !v.isText }

// String is the name, or the number in decimal.
func (v IntOrString) String() string {
	if v.isText {
		return v.text
	}
	return strconv.FormatInt(v.number, 10)
}

// MarshalJSON writes a JSON number or a JSON string.
func (v IntOrString) MarshalJSON() ([]byte, error) {
	if v.isText {
		return json.Marshal(v.text)
	}
	return json.Marshal(v.number)
}

// UnmarshalJSON reads a JSON number or a JSON string.
func (v *IntOrString) UnmarshalJSON(data []byte) error {
	*v = IntOrString{}
	if len(data) > 0 && data[0] == '"' {
		v.isText = true
		return json.Unmarshal(data, &v.text)
	}
	return json.Unmarshal(data, &v.number)
}
