/// @file
/// The SDK: all that a controller includes. Its tests also include windlass/testing.h.

#ifndef WINDLASS_SDK_H
#define WINDLASS_SDK_H

#include "windlass/client.h"
#include "windlass/controller.h"
#include "windlass/json.h"
#include "windlass/lister.h"
#include "windlass/memory.h"
#include "windlass/object.h"
#include "windlass/services.h"
#include "windlass/time.h"

#endif
