#include "configuration/natural_gradients.h"

#include <natgrad/optim/presets.h>

#include <limits>
#include <utility>

#include "configuration/parts.h"

namespace natgrad::detail {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void read_parts(Settings& s, NaturalGradientOptions& options) {
  if (const auto part = find_part(s, "curvature", curvature_makers())) options.curvature(*part);
  if (const auto part = find_part(s, "solver", solver_makers())) options.solver(*part);
  if (const auto part = find_part(s, "damping", damping_makers())) options.damping(*part);
  if (const auto part = find_part(s, "damping_matrix", damping_matrix_makers())) {
    options.damping_matrix(*part);
  }
  if (const auto part = find_part(s, "preconditioner", preconditioner_makers())) {
    options.preconditioner(*part);
  }
  if (const auto part = find_part(s, "step_rule", step_rule_makers())) options.step_rule(*part);
}

NaturalGradientOptions read_options(Settings& s, NaturalGradientOptions options) {
  s.read("lr", options.lr());
  s.read("weight_decay", options.weight_decay());
  s.read("maximize", options.maximize());
  s.read("fill_grad", options.fill_grad());
  s.read("warm_start", options.warm_start());
  s.choose("unread", {{"Throw", Unread::Throw}, {"Substitute", Unread::Substitute}},
           options.unread());
  s.read("curvature_chunks", options.curvature_chunks());
  s.read("examples", options.examples());
  s.read("max_gradient_norm", options.max_gradient_norm());
  s.read("max_step_norm", options.max_step_norm());
  s.read("measure", options.measure());
  s.read("seed", options.seed());
  read_parts(s, options);
  return options;
}

/// As in C++, NaturalGradientOptions(lr) has a fixed rate.
NaturalGradientOptions plain(Settings& s) {
  return s.has("lr") ? NaturalGradientOptions(s.get("lr", 0.)) : NaturalGradientOptions();
}

}  // namespace

const Makers<NaturalGradientOptions>& natural_gradient_makers() {
  using Options = NaturalGradientOptions;
  const auto with_options = [](auto start) {
    return [start](Settings& s) { return read_options(s, start(s)); };
  };
  static const Makers<Options> makers = {
      {"natgrad", with_options(plain)},
      {"natgrad-natural-gradient",
       with_options([](Settings& s) { return presets::natural_gradient(s.get("lr", 1.)); })},
      {"natgrad-hessian-free",
       with_options([](Settings& s) { return presets::hessian_free(s.get("lambda", 1.)); })},
      {"natgrad-krylov-subspace-descent", with_options([](Settings& s) {
         return presets::krylov_subspace_descent(s.get<int64_t>("dimension", 20));
       })},
      {"natgrad-kfac",
       with_options([](Settings& s) { return presets::kfac(s.get("lambda", 20.)); })},
      {"natgrad-least-squares", with_options([](Settings&) { return presets::least_squares(); })},
      {"natgrad-stochastic-reconfiguration", with_options([](Settings& s) {
         return presets::stochastic_reconfiguration(s.get("lr", 0.05), s.get("shift", 0.01));
       })},
      {"natgrad-spring", with_options([](Settings& s) {
         return presets::spring(s.get("lr", 0.05), s.get("shift", 0.01), s.get("momentum", 0.95),
                                s.get("memory_doubling", kInfinity));
       })}};
  return makers;
}

}  // namespace natgrad::detail
