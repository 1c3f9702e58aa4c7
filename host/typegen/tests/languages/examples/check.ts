// A sample fits the generated types, and what the schema forbids does not.

import { type Watch, watch } from "@windlass-dev/sdk";

import { BOXES, GADGETS, type Gadget } from "./resources.ts";
import { full, least } from "./samples.ts";

export const gadgets: Gadget[] = [full, least];
export const watches: Watch<any>[] = [watch(GADGETS), watch(BOXES)];

const gadget: Gadget | undefined = watch(GADGETS).get({ name: "all" });
export const lengths: (number | undefined)[] | undefined = gadget?.spec.parts.map((part) => part.weights?.length);

// @ts-expect-error: it is none of the values
export const mode: Gadget["spec"]["mode"] = "slower";
// @ts-expect-error: what is required is missing
export const spec: Gadget["spec"] = { class: "" };
// @ts-expect-error: null is no text
gadgets[0].spec.class = null;
gadgets[0].spec.maybe = null;
