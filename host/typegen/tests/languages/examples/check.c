// Reads an object from standard input with the generated functions, and writes it again: each
// value that it read is set to what it was.

#include <stdio.h>

#include "resources.h"

int main(void) {
  static char text[65536];
  size_t length = fread(text, 1, sizeof text, stdin);
  wl_json gadget = wl_json_parse(text, length);
  wl_json spec = gadget_spec(gadget);
  if (gadget_spec_field(wl_json_print("{}")) != 7) return 1;
  if (gadget_spec_pace(wl_json_print("{}")) != GADGET_SPEC_PACE_SLOW) return 2;
  if (gadget_spec_mode(wl_json_print("{'mode': 'new'}")) != GADGET_SPEC_MODE_OTHER) return 3;
  if (gadget_spec_mode(wl_json_print("{'mode': 'Other'}")) == GADGET_SPEC_MODE_OTHER) return 4;
  spec = gadget_spec_set_class(spec, gadget_spec_class(spec));
  spec = gadget_spec_set_mode(spec, gadget_spec_mode(spec));
  spec = gadget_spec_set_size(spec, gadget_spec_size(spec, -1));
  spec = gadget_spec_set_labels(spec, gadget_spec_labels(spec));
  spec = gadget_spec_set_parts(spec, gadget_spec_parts(spec));
  if (gadget_spec_type(spec) != NULL) spec = gadget_spec_set_type(spec, gadget_spec_type(spec));
  if (gadget_spec_3scale(spec, false)) spec = gadget_spec_set_3scale(spec, gadget_spec_3scale(spec, false));
  if (gadget_spec_ratio(spec, 0) == 1.5) spec = gadget_spec_set_ratio(spec, wl_json_print("1.5"));
  wl_time since;
  if (gadget_spec_since(spec, &since)) spec = gadget_spec_set_since(spec, since);
  gadget = gadget_set_spec(gadget, spec);
  wl_json status = gadget_status(gadget);
  int64_t generation = gadget_status_observed_generation(status, -1);
  if (generation >= 0) gadget = gadget_set_status(gadget, gadget_status_set_observed_generation(status, generation));
  fwrite(gadget.text, 1, gadget.length, stdout);
  return gadgets.plural[0] == 'g' && boxes.kind[0] == 'B' ? 0 : 5;
}
