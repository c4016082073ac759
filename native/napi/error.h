#pragma once

#include <napi.h>

#include "core/failure.h"

namespace aws_hmac::napi {

/// The one place that turns a Failure into a JavaScript Error; lib/binding gives it its class.
Napi::Error ToError(Napi::Env env, const Failure& failure);

}  // namespace aws_hmac::napi
