#pragma once

#include "detail.h"

#include <natgrad/optim/options.h>

#include <memory>

namespace natgrad::detail {

/// What an optimizer learns from its steps: the state of its damping, its preconditioner and its
/// step rule. A step works on a copy and keeps it if it is accepted.
struct Learned {
  /// The parts as the options name them.
  explicit Learned(const NaturalGradientOptions& options)
      : damping(options.damping().clone()),
        preconditioner(options.preconditioner() ? options.preconditioner()->clone() : nullptr),
        step_rule(options.step_rule().clone()) {}
  Learned(const Learned& other)
      : damping(other.damping->clone()),
        preconditioner(other.preconditioner ? other.preconditioner->clone() : nullptr),
        step_rule(other.step_rule->clone()) {}
  Learned(Learned&&) = default;
  Learned& operator=(Learned&&) = default;

  std::unique_ptr<Damping> damping;
  std::unique_ptr<Preconditioner> preconditioner;  ///< null if there is none
  std::unique_ptr<StepRule> step_rule;
};

}  // namespace natgrad::detail
