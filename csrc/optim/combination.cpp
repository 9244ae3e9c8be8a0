#include <natgrad/optim/options.h>

#include <cmath>

namespace natgrad {

namespace {

bool has_region(const Damping& damping) { return std::isfinite(damping.radius()); }

/// Whether λ is known to be zero before any step.
bool is_undamped(const Damping& damping, bool decays) {
  return !damping.needs_noise() && damping.lambda() == 0 && !decays;
}

void check_region(const NaturalGradientOptions& options) {
  const auto& solver = options.solver();
  if (!has_region(options.damping())) return;
  TORCH_CHECK(solver.uses_radius(), "natgrad: ", options.damping().describe(),
              " bounds the step by a radius, which ", solver.describe(),
              " knows nothing of. Use SteihaugConjugateGradient().");
  TORCH_CHECK(
      !options.damping_matrix(), "natgrad: ", options.damping().describe(),
      " damps by a radius, not by λ, so a damping matrix has nothing to do. Leave it out, or "
      "use LevenbergMarquardt().");
}

void check_start(const NaturalGradientOptions& options) {
  const auto& solver = options.solver();
  const auto& rule = options.step_rule();
  const bool centred = options.damping().centre() > 0;
  TORCH_CHECK(!centred || !solver.uses_radius(), "natgrad: ", options.damping().describe(),
              " centres the step on the last one, but the region of ", solver.describe(),
              " lies around zero. Use TrustRegion(), LevenbergMarquardt() or Tikhonov(lambda).");
  TORCH_CHECK(!centred || rule.takes_centred_solution(), "natgrad: ", rule.describe(),
              " needs the solution of (C + λI) δ = -∇h, but ", options.damping().describe(),
              " centres it on the last step. Use LevenbergMarquardt() or Tikhonov(lambda).");
  TORCH_CHECK(options.warm_start() == 0 || !centred, "natgrad: warm_start = ", options.warm_start(),
              " is not used with ", options.damping().describe(),
              ", whose centre is where the solver starts.");
  TORCH_CHECK(options.warm_start() == 0 || solver.uses_initial(),
              "natgrad: warm_start = ", options.warm_start(), " is not used by ", solver.describe(),
              ". Leave it at 0.");
  TORCH_CHECK(options.warm_start() == 0 || rule.takes_centred_solution() || solver.builds_basis(),
              "natgrad: ", rule.describe(),
              " needs a solution from a start at zero, and what it "
              "keeps of the last step may be no solution. Leave warm_start at 0.");
}

void check_inverse(const NaturalGradientOptions& options, bool decays) {
  const auto& solver = options.solver();
  const auto* preconditioner = options.preconditioner();
  TORCH_CHECK(preconditioner || !solver.needs_preconditioner(), "natgrad: ", solver.describe(),
              " takes the preconditioner for the inverse, but there is none. Add "
              ".preconditioner(natgrad::KroneckerFactored()).");
  TORCH_CHECK(solver.takes_damping_matrix() || !options.damping_matrix(),
              "natgrad: ", solver.describe(),
              " solves C + λI, but a damping matrix other than I was given. Leave it out, or use "
              "ConjugateGradient().");
  TORCH_CHECK(!options.damping().needs_diagonal() || !options.damping_matrix(),
              "natgrad: ", options.damping().describe(),
              " makes D of the curvature's diagonal, but a damping matrix was given too. Leave one "
              "of them out.");
  TORCH_CHECK(!options.damping().needs_diagonal() || solver.takes_damping_matrix(),
              "natgrad: ", solver.describe(), " solves C + λI, but ", options.damping().describe(),
              " has a D of its own. Use QR() or ConjugateGradient().");
  if (!preconditioner) return;
  TORCH_CHECK(solver.uses_preconditioner(), "natgrad: ", solver.describe(), " has no use for ",
              preconditioner->describe(),
              ". Leave the preconditioner out, or use "
              "ConjugateGradient().");
  TORCH_CHECK(!solver.needs_preconditioner() || preconditioner->approximates_inverse(),
              "natgrad: ", preconditioner->describe(),
              " is a power of the inverse, made to precondition; ", solver.describe(),
              " takes it for the inverse itself. Set its exponent to 1, or use "
              "ConjugateGradient().");
  TORCH_CHECK(!is_undamped(options.damping(), decays), "natgrad: ", preconditioner->describe(),
              " approximates (C + λI)⁻¹ with λ > 0, but ", options.damping().describe(),
              " has λ = 0. Use another damping, or no preconditioner.");
}

void check_bounds(const NaturalGradientOptions& options) {
  const auto& damping = options.damping();
  const auto& rule = options.step_rule();
  const bool has_trials = damping.needs_ratio() || rule.needs_trials();
  TORCH_CHECK(!has_trials || std::isinf(options.max_gradient_norm()),
              "natgrad: max_gradient_norm = ", options.max_gradient_norm(),
              " scales the gradient, but ",
              damping.needs_ratio() ? damping.describe() : rule.describe(),
              " compares the loss with what the whole gradient promises. Use max_step_norm.");
}

}  // namespace

void NaturalGradientOptions::check_combination(bool any_group_decays) const {
  check_region(*this);
  check_start(*this);
  check_inverse(*this, any_group_decays);
  check_bounds(*this);
  TORCH_CHECK(!step_rule_->needs_basis() || solver_->builds_basis(),
              "natgrad: ", step_rule_->describe(),
              " searches the subspace that the solver has built, but ", solver_->describe(),
              " builds none. Use KrylovSubspace().");
}

}  // namespace natgrad
