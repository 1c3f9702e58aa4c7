// The objects that a WebApp stands for.

#ifndef WEBAPP_DEPENDENTS_H
#define WEBAPP_DEPENDENTS_H

#include "windlass/sdk.h"

// Positions in the manifest's watches.
enum { WEB_APPS, CONFIG_MAPS, DEPLOYMENTS, SERVICES };

extern const wl_resource web_apps, config_maps, deployments, services;

int64_t replicas_of(wl_json app);

// Makes each object that is missing, and corrects those that have drifted. A terminal error
// if one exists that is somebody else's.
wl_result ensure_all(wl_sync sync, wl_json app);

#endif
