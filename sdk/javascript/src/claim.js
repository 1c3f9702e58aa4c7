// Adopting and releasing dependents, by the rules of Kubernetes' own controllers
// (`pkg/controller/controller_ref_manager.go`).

import { client } from "./client.js";
import { ApiError, RetryError } from "./errors.js";
import { log } from "./log.js";
import { controllerOf, controllerReference, isDeleting, patchMetadata } from "./meta.js";
import { formatKey, keyOf } from "./resource.js";
import { selectorMatches } from "./selector.js";

export function claim({ owner, ownerResource, selector, resource, candidates }) {
  const claiming = new Claim(owner, ownerResource, selector, resource);
  const claimed = [];
  const errors = [];
  for (const candidate of candidates) {
    try {
      if (claiming.claim(candidate)) claimed.push(candidate);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new RetryError(`[${errors.map((error) => error.message).join(", ")}]`);
  return claimed;
}

class Claim {
  #owner;
  #ownerResource;
  #selector;
  #resource;
  /** Why nothing may be adopted, if so; found out once at most. */
  #refusal;

  constructor(owner, ownerResource, selector, resource) {
    this.#owner = owner;
    this.#ownerResource = ownerResource;
    this.#selector = selector;
    this.#resource = resource;
  }

  /** Whether the owner controls it afterwards. */
  claim(object) {
    const controller = controllerOf(object);
    const matches = selectorMatches(this.#selector, object.metadata.labels);
    if (controller) {
      if (controller.uid !== this.#owner.metadata.uid) return false;
      if (!matches && !isDeleting(this.#owner)) this.#release(object);
      return matches;
    }
    const isElsewhere = object.metadata.namespace !== this.#owner.metadata.namespace;
    if (!matches || isElsewhere || isDeleting(this.#owner) || isDeleting(object)) return false;
    return this.#adopt(object);
  }

  #adopt(object) {
    this.#refusal ??= { reason: this.#whyNotAdopt() };
    const { reason } = this.#refusal;
    const name = formatKey(keyOf(object));
    if (reason) throw new RetryError(`can't adopt ${this.#resource.kind} ${name} (${object.metadata.uid}): ${reason}`);
    log.debug("adopting", { kind: this.#resource.kind, object: name });
    const reference = controllerReference(this.#ownerResource, this.#owner);
    try {
      const ownerReferences = [...(object.metadata.ownerReferences ?? []), reference];
      patchMetadata(this.#resource, object, { ownerReferences });
      return true;
    } catch (error) {
      if (ApiError.isNotFound(error)) return false;
      throw error;
    }
  }

  #release(object) {
    log.debug("releasing", { kind: this.#resource.kind, object: formatKey(keyOf(object)) });
    const { uid } = this.#owner.metadata;
    const ownerReferences = object.metadata.ownerReferences.filter((reference) => reference.uid !== uid);
    try {
      patchMetadata(this.#resource, object, { ownerReferences });
    } catch (error) {
      // Gone, or no longer what it was: the reference is not ours any more.
      if (!ApiError.isNotFound(error) && !ApiError.isInvalid(error)) throw error;
    }
  }

  /** The cache may not know yet that the owner was deleted or replaced, so this asks the server. */
  #whyNotAdopt() {
    const key = keyOf(this.#owner);
    const { uid } = this.#owner.metadata;
    let live;
    try {
      live = client.get(this.#ownerResource, key).metadata;
    } catch (error) {
      if (error instanceof ApiError) return error.message;
      throw error;
    }
    if (live.uid !== uid) {
      return `original ${this.#ownerResource.kind} ${formatKey(key)} is gone: got uid ${live.uid}, wanted ${uid}`;
    }
    return live.deletionTimestamp && `${formatKey(key)} has just been deleted at ${live.deletionTimestamp}`;
  }
}
