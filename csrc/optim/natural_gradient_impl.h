#pragma once

#include <natgrad/optim/natural_gradient.h>

#include <optional>
#include <set>

#include "libtorch/degradations.h"
#include "optim/closure_trials.h"
#include "optim/last_step.h"
#include "optim/learned.h"
#include "optim/step_data.h"

namespace natgrad {

/// What an optimizer knows from step to step, and the step itself.
class NaturalGradient::Impl {
 public:
  explicit Impl(NaturalGradientOptions options) : system_(std::move(options)), learned_(system_) {}

  StepSummary advance(StepData& data);
  LinearSystem damped_system(StepData& data, const torch::Tensor& g, const LinearOperator& C,
                             Learned& learned, StepSummary& report) const;
  std::optional<ClosureTrials> trials_of(StepData& data) const;
  StepSummary failed(StepSummary report, bool at_the_edge);
  void take_back_last_step();
  void warn_once();

  NaturalGradientOptions system_;  // what all groups share
  Learned learned_;
  LastStep last_step_;
  int64_t accepted_steps_ = 0;
  size_t checked_parameters_ = 0;
  bool stepping_ = false, warned_of_failure_ = false, warned_of_curvature_ = false;
  bool closure_is_checked_ = false;  // that it answers the same when called again
  Degradations degradations_;
  std::set<Degradation> warned_of_;
  StepSummary summary_;
};

}  // namespace natgrad
