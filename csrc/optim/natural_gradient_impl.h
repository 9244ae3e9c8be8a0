#pragma once

#include <natgrad/optim/natural_gradient.h>

#include "graph/new_forward.h"
#include "libtorch/degradations.h"
#include "optim/closure_trials.h"
#include "optim/damped_problem.h"
#include "optim/last_step.h"
#include "optim/learned.h"
#include "optim/quadratic_models.h"
#include "optim/step_data.h"

#include <limits>
#include <optional>
#include <set>

namespace natgrad {

namespace detail {

/// What an optimizer goes on from, and what is saved of it. A step that is accepted makes another.
struct OptimizerState {
  Learned learned;
  LastStep last_step = {};
  int64_t accepted_steps = 0;
  double last_gain = std::numeric_limits<double>::quiet_NaN();  ///< of the last step on its trials
  double caution = 1;  ///< the share of the next step that is taken, below 1 after one taken back
};

}  // namespace detail

/// The steps: each turns a state, and the data of a batch, into the next state and a report.
class NaturalGradient::Impl {
 public:
  explicit Impl(NaturalGradientOptions system)
      : system_(std::move(system)), state_{Learned(system_)} {}

  /// What all groups share.
  const NaturalGradientOptions& system() const { return system_; }
  const StepSummary& summary() const { return summary_; }
  const OptimizerState& state() const { return state_; }
  void set_state(OptimizerState state) { state_ = std::move(state); }
  /// Whether a step is under way, as within its closure.
  bool is_stepping() const { return stepping_; }
  /// Whether as many parameters have been met.
  bool has_met(size_t parameters) const { return parameters == met_parameters_; }
  /// Notes that there are now as many; with new ones no step goes on from the last.
  void meet(size_t parameters) {
    met_parameters_ = parameters;
    state_.last_step.forget_delta();
  }

  /// Throws `c10::Error` from within a step's closure, or where no graph is recorded.
  void check_may_step() const;
  /// One step: all or nothing, with the report in `summary`. Returns the loss.
  torch::Tensor step(const Batches& batches, const std::vector<torch::Tensor>& parameters,
                     const std::vector<torch::optim::OptimizerParamGroup>& groups, bool can_try);

 private:
  /// The step on batches whose closures are called as they are.
  torch::Tensor take_step(const Batches& batches, const std::vector<torch::Tensor>& parameters,
                          const std::vector<torch::optim::OptimizerParamGroup>& groups,
                          bool can_try);
  /// The method. On return θ has moved, and the state is the next one, if the step is accepted.
  StepSummary advance(StepData& data);
  /// A step with what the parts say now: `Accepted` if it is to be taken.
  struct Attempt {
    StepOutcome outcome;
    Step step;
    bool at_the_edge;
  };
  Attempt attempt(StepData& data, const LinearOperator& C, Learned& learned,
                  std::optional<ClosureTrials>& trials, StepSummary& report);
  void look_at_gradients(const Evaluator& h) const;
  DampedProblem problem_of(const StepData& data, const LinearOperator& C,
                           const Learned& learned) const;
  bool takes_rows(const StepData& data, const Learned& learned) const;
  std::optional<ClosureTrials> trials_of(StepData& data) const;
  double hindsight(StepData& data) const;
  Step choose_step(Learned& learned, const Evaluator& h, const QuadraticModel& model,
                   const DampedProblem& problem, const Solution& solution,
                   TrialLosses* trials) const;
  void accept(const Step& step, const ParameterLayout& layout, Learned learned, double gain);
  StepOutcome take_failure(StepOutcome outcome, std::optional<double> ratio, bool at_the_edge);
  bool is_fault_of_data(StepData& data) const;
  void take_back_last_step();
  void warn_once();

  NaturalGradientOptions system_;
  OptimizerState state_;
  StepSummary summary_;
  size_t met_parameters_ = 0;
  bool stepping_ = false, warned_of_failure_ = false, warned_of_curvature_ = false;
  bool attends_plainly_ = false;     // closures are called with attention in several ops
  bool closure_is_checked_ = false;  // that it answers the same when called again
  detail::Instant moved_;            // when the parameters last did
  Degradations degradations_;
  std::set<Degradation> warned_of_;
};

}  // namespace natgrad
