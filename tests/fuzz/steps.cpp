#include "fuzz/steps.h"

#include <fmt/format.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <string_view>

#include "support/snapshot.h"

namespace natgrad::testing::fuzz {

std::string fault_of(const std::exception& error) {
  const auto* named = dynamic_cast<const c10::Error*>(&error);
  if (!named) return fmt::format("no c10::Error, but {}", error.what());
  const std::string message = named->what_without_backtrace();
  if (std::string_view(message).starts_with("natgrad")) return {};
  return fmt::format("an error that is not natgrad's: {}", message);
}

std::vector<NamedOptions> all_presets() {
  return {{"default", {}},
          {"natural_gradient", presets::natural_gradient()},
          {"hessian_free", presets::hessian_free()},
          {"krylov_subspace_descent", presets::krylov_subspace_descent()},
          {"kfac", presets::kfac()},
          {"least_squares", presets::least_squares()}};
}

namespace {

/// What a step must leave as it was unless it is accepted.
struct Before {
  explicit Before(const std::vector<Tensor>& parameters)
      : generator(at::detail::getDefaultCPUGenerator().get_state().clone()) {
    for (const auto& p : parameters) {
      values.push_back(p.detach().clone());
      gradients.push_back(p.grad().defined() ? p.grad().clone() : Tensor());
    }
  }

  std::string changes(const std::vector<Tensor>& parameters, bool generator_too) const {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!same_bits(parameters[i], values[i])) return fmt::format("parameter {} moved", i);
      if (!same_bits(parameters[i].grad(), gradients[i])) return fmt::format(".grad {} changed", i);
    }
    const auto now = at::detail::getDefaultCPUGenerator().get_state();
    return generator_too && !same_bits(now, generator) ? "the generator advanced" : "";
  }

  std::vector<Tensor> values, gradients;
  Tensor generator;
};

bool are_finite(const std::vector<Tensor>& parameters) {
  for (const auto& p : parameters) {
    if (!p.isfinite().all().item<bool>()) return false;
  }
  return true;
}

/// One step; what is wrong with it, and whether another one makes sense.
std::string failure_of_step(NaturalGradient& optimizer, Program& program, bool by_closure,
                            const std::string& name, Tally* tally) {
  const auto count = [&](const std::string& what) {
    if (tally) ++(*tally)[fmt::format("{} {}", name, what)];
  };
  const auto loss = by_closure ? Tensor() : program.loss(Form::Given);
  const Before before(program.parameters());
  try {
    by_closure ? optimizer.step([&] { return program.loss(Form::Given); }) : optimizer.step(loss);
  } catch (const std::exception& error) {
    count("refused");
    const auto fault = fault_of(error);
    if (!fault.empty()) return fault;
    const auto changes = before.changes(program.parameters(), true);
    return changes.empty() ? "" : fmt::format("{} by a step that threw", changes);
  }
  const auto& summary = optimizer.summary();
  count(to_string(summary.outcome));
  if (!are_finite(program.parameters())) return "parameters are no longer finite";
  if (summary.outcome == StepOutcome::Accepted || summary.restored) return {};
  const auto changes = before.changes(program.parameters(), false);
  return changes.empty() ? "" : fmt::format("{} by a step that was not taken", changes);
}

std::string failure_by(const NamedOptions& method, const Program& program, bool by_closure,
                       Tally* tally) {
  Program own = program.copy();
  NaturalGradient optimizer(own.parameters(), method.options);
  for (int step = 0; step < 2; ++step) {
    const auto failure = failure_of_step(optimizer, own, by_closure, method.name, tally);
    if (!failure.empty()) return fmt::format("{}, step {}: {}", method.name, step + 1, failure);
  }
  return {};
}

}  // namespace

std::string failure_of_steps(const Case& the_case, const Program& program, Tally* tally) {
  if (the_case.optimizer % 4 != 0) return {};  // they cost as much as all the rest
  const auto methods = all_presets();
  const auto which = the_case.optimizer / 4 % methods.size();
  auto failure = failure_by(methods[0], program, which == 0, tally);
  if (failure.empty() && which > 0) failure = failure_by(methods[which], program, true, tally);
  return failure;
}

}  // namespace natgrad::testing::fuzz
