#pragma once

/// Optimizers and schedules by name, for programs that are configured by a file.

#include <natgrad/configuration/make_optimizer.h>
#include <natgrad/configuration/make_scheduler.h>
