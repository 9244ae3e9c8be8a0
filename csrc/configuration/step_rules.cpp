#include <natgrad/step_control/adaptive_rate.h>
#include <natgrad/step_control/geodesic_acceleration.h>
#include <natgrad/step_control/held_out_rate.h>
#include <natgrad/step_control/inverse_time.h>
#include <natgrad/step_control/kl_constrained.h>
#include <natgrad/step_control/learning_rate.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/quadratic_model_step.h>
#include <natgrad/step_control/subspace_minimisation.h>

#include "configuration/parts.h"

namespace natgrad::detail {

namespace {

void read_adaptive_rate(Settings& s, AdaptiveRate& part) {
  s.read("initial", part.initial());
  s.read("alpha", part.alpha());
  s.read("beta", part.beta());
  s.read("least_loss", part.least_loss());
  s.read("largest", part.largest());
}

void read_line_search(Settings& s, LineSearch& part) {
  s.read("shrink", part.shrink());
  s.read("sufficient_decrease", part.sufficient_decrease());
  s.read("max_trials", part.max_trials());
  s.read("backtrack", part.backtrack());
}

void read_quadratic_model_step(Settings& s, QuadraticModelStep& part) {
  s.read("momentum", part.momentum());
  s.read("whole_batch", part.whole_batch());
  s.read("fitted", part.fitted());
}

void read_subspace_minimisation(Settings& s, SubspaceMinimisation& part) {
  s.read("floor", part.floor());
  s.read("max_iterations", part.max_iterations());
  s.read("max_evaluations", part.max_evaluations());
}

PartPtr<StepRule> inverse_time(Settings& s) {
  return PartPtr<StepRule>(InverseTime(s.get("c", 1.)).clone());
}

PartPtr<StepRule> kl_constrained(Settings& s) {
  s.require("c");
  return PartPtr<StepRule>(KLConstrained(s.get("c", 0.)).clone());
}

}  // namespace

const Makers<PartPtr<StepRule>>& step_rule_makers() {
  static const Makers<PartPtr<StepRule>> makers = {
      {"AdaptiveRate", maker<AdaptiveRate, StepRule>(read_adaptive_rate)},
      {"GeodesicAcceleration",
       maker<GeodesicAcceleration, StepRule>(
           [](Settings& s, GeodesicAcceleration& part) { s.read("limit", part.limit()); })},
      {"HeldOutRate", maker<HeldOutRate, StepRule>([](Settings& s, HeldOutRate& part) {
         s.read("largest", part.largest());
       })},
      {"InverseTime", inverse_time},
      {"KLConstrained", kl_constrained},
      {"LearningRate", maker<LearningRate, StepRule>()},
      {"LineSearch", maker<LineSearch, StepRule>(read_line_search)},
      {"QuadraticModelStep", maker<QuadraticModelStep, StepRule>(read_quadratic_model_step)},
      {"SubspaceMinimisation", maker<SubspaceMinimisation, StepRule>(read_subspace_minimisation)}};
  return makers;
}

}  // namespace natgrad::detail
