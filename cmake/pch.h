// The one precompiled header of all targets: what is slow to compile and never changes.
// Sources still include what they use; this only makes it quick.
#pragma once

#include <fmt/format.h>
#include <torch/csrc/autograd/generated/Functions.h>
#include <torch/torch.h>
