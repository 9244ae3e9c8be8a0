#pragma once

#include "configuration/settings.h"

#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/damping_matrix.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/damping/damping.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <natgrad/solvers/solver.h>
#include <natgrad/step_control/step_rule.h>

#include <memory>

namespace natgrad::detail {

// The parts of a step by the names of their classes; each kind has its table in a file of its own.
template <class Part>
using PartPtr = std::shared_ptr<const Part>;

const Makers<PartPtr<Curvature>>& curvature_makers();
const Makers<PartPtr<Solver>>& solver_makers();
const Makers<PartPtr<Damping>>& damping_makers();
const Makers<PartPtr<DampingMatrix>>& damping_matrix_makers();
const Makers<PartPtr<Preconditioner>>& preconditioner_makers();
const Makers<PartPtr<StepRule>>& step_rule_makers();

/// The part of this name in `settings`, or null: a name, or an object of it and its options.
template <class Part>
PartPtr<Part> find_part(Settings& settings, const char* name, const Makers<PartPtr<Part>>& makers) {
  const auto* json = settings.find(name);
  if (!json || json->is_null()) return nullptr;
  Settings of_part(fmt::format("the {} of {}", name, settings.where()), *json);
  return make(of_part, makers);
}

/// A maker of a part that is made with no argument; `read` then reads its options.
template <class Part, class Kind, class Read>
std::function<PartPtr<Kind>(Settings&)> maker(Read read) {
  return [read](Settings& settings) -> PartPtr<Kind> {
    Part part;
    read(settings, part);
    return PartPtr<Kind>(part.clone());
  };
}
/// The same of a part without options.
template <class Part, class Kind>
std::function<PartPtr<Kind>(Settings&)> maker() {
  return maker<Part, Kind>([](Settings&, Part&) {});
}

/// The option `weights` of Fisher matrices and what is made of them.
template <class Part>
void read_weights(Settings& settings, Part& part) {
  settings.choose("weights",
                  {{"OfTheLoss", FisherWeights::OfTheLoss}, {"Uniform", FisherWeights::Uniform}},
                  part.weights());
}
/// The option `moment` of the examples' gradients.
template <class Part>
void read_moment(Settings& settings, Part& part) {
  settings.choose("moment", {{"Uncentred", Moment::Uncentred}, {"Centred", Moment::Centred}},
                  part.moment());
}

}  // namespace natgrad::detail
