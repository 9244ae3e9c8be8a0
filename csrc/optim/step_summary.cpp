#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <natgrad/optim/step_summary.h>

#include <cmath>

namespace natgrad {

const char* to_string(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::NotStepped:
      return "NotStepped";
    case StepOutcome::Accepted:
      return "Accepted";
    case StepOutcome::BelowRounding:
      return "BelowRounding";
    case StepOutcome::ZeroGradient:
      return "ZeroGradient";
    case StepOutcome::NonFiniteLoss:
      return "NonFiniteLoss";
    case StepOutcome::NonFiniteGradient:
      return "NonFiniteGradient";
    case StepOutcome::SolverFailed:
      return "SolverFailed";
    case StepOutcome::Rejected:
      return "Rejected";
    case StepOutcome::DampingExhausted:
      return "DampingExhausted";
  }
  TORCH_CHECK(false, "natgrad: not a StepOutcome: ", static_cast<int>(outcome));
}

namespace {

std::string solver_hint(Termination termination, int64_t negative_weights) {
  switch (termination) {
    case Termination::NegativeCurvature:
      if (negative_weights > 0) {
        return fmt::format(
            "{} weights of the loss are negative: take the default curvature or "
            "Fisher().weights(FisherWeights::Uniform); a log-likelihood is maximised with "
            "maximize(true), its negative without",
            negative_weights);
      }
      return "the curvature matrix is not positive definite: the loss is not convex in the outputs "
             "z, "
             "whose own Hessian GaussNewton() takes, or not in the parameters, whose Hessian() is. "
             "Take curvature(natgrad::FisherOrGaussNewton()), which is the Fisher matrix of "
             "outputs "
             "with a distribution and one of gradient rows elsewhere, or raise the damping";
    case Termination::Breakdown:
      return "the matrix is singular: raise the damping; or the loss has no curvature in the "
             "outputs z, as l1_loss under GaussNewton(): take "
             "curvature(natgrad::FisherOrGaussNewton())";
    case Termination::NonFinite:
      return "a curvature product is not finite; lower lr or raise the damping";
    default:
      return "the solver made no iteration";
  }
}

std::string loss_hint(bool restored, int64_t faulty_parameter) {
  if (restored) {
    return "the step before was taken back; if it happens again, lower lr, standardise the targets "
           "or start the last bias near them";
  }
  if (faulty_parameter < 0) return "look for NaN or infinity in this batch";
  return fmt::format(
      "parameter {} holds NaN or infinity: start again, or from a checkpoint before it did",
      faulty_parameter);
}

/// Some say in several lines what to write instead.
std::string first_line(const std::string& text) {
  const auto line = text.substr(0, text.find('\n'));
  return line.ends_with('.') ? line.substr(0, line.size() - 1) : line;
}

std::string damping_text(double lambda, double radius) {
  return std::isfinite(radius) ? fmt::format("radius {:.3g}", radius)
                               : fmt::format("lambda {:.3g}", lambda);
}

/// How the examples behind λ were counted, where that is not plain.
std::string examples_text(const std::optional<double>& examples, const std::string& basis) {
  return examples && !basis.empty() ? fmt::format(", {:g} examples ({})", *examples, basis) : "";
}

std::string ratio_text(const std::optional<double>& ratio) {
  return ratio ? fmt::format(", rho {:.3g}", *ratio) : "";
}

/// How much of what any step could gain by the model.
std::string bound_text(const std::optional<double>& share) {
  return share ? fmt::format(", {:.3g} of the bound promised", *share) : "";
}

/// How far the distribution moved, and how that is known.
std::string nats_text(const std::optional<double>& nats, const std::string& basis) {
  if (nats) return fmt::format(", {:.3g} nats ({})", *nats, basis);
  return basis.empty() ? "" : fmt::format(", no nats ({})", basis);
}

std::string share_text(double share, const char* option) {
  return share < 1 ? fmt::format(" ({:.2g} of it: {})", share, option) : "";
}

std::string shortening_text(double shortening) {
  return shortening < 1
             ? fmt::format(" (shortened to {:.2g} of it: outputs moved too far)", shortening)
             : "";
}

}  // namespace

std::string StepSummary::message() const {
  auto message = outcome_text();
  for (const auto& text : degradations) message += "; " + first_line(text);
  return message;
}

std::string StepSummary::outcome_text() const {
  const auto start = fmt::format("step {}: {}", step, to_string(outcome));
  const auto gradient = fmt::format("loss {:.6g}, |gradient| {:.3g}{}", loss, gradient_norm,
                                    share_text(gradient_share, "max_gradient_norm"));
  switch (outcome) {
    case StepOutcome::NotStepped:
      return start;
    case StepOutcome::NonFiniteLoss:
      return fmt::format("{}, loss {}; {}", start, loss, loss_hint(restored, faulty_parameter));
    case StepOutcome::NonFiniteGradient:
      return fmt::format(
          "{}, loss {:.6g}; some op's derivative overflows here: look for infinity, or numbers "
          "near it, in this batch",
          start, loss);
    case StepOutcome::ZeroGradient:
      return fmt::format("{}, {}", start, gradient);
    case StepOutcome::SolverFailed:
      return fmt::format("{} ({}), {}, lambda {:.3g}; {}", start, to_string(solver.termination),
                         gradient, lambda, solver_hint(solver.termination, negative_weights));
    case StepOutcome::Rejected:
      if (restored) {
        return fmt::format(
            "{}, loss {:.6g}; this batch is better off without the step before, "
            "which was taken back",
            start, loss);
      }
      return fmt::format("{}, {}, {}{}; no better step was found: the parameters stay as they are",
                         start, gradient, damping_text(lambda, radius), ratio_text(ratio));
    case StepOutcome::DampingExhausted:
      return fmt::format(
          "{}, {}, {}{}; no better step was found, and the damping is as strong "
          "as it can be: the loss has reached what its rounding allows, or is not "
          "smooth here, or the closure changes between calls",
          start, gradient, damping_text(lambda, radius), ratio_text(ratio));
    case StepOutcome::BelowRounding:
      if (step_norm == 0 && shortening == 1) {
        return fmt::format(
            "{}, {}, {}: lr is 0, as where a schedule has ended, and no parameter "
            "moves",
            start, gradient, damping_text(lambda, radius));
      }
      return fmt::format(
          "{}, {}, {}, |step| {:.3g}: less than the rounding of every parameter, which all stay as "
          "they are; lower the damping, raise lr, or train in double",
          start, gradient, damping_text(lambda, radius), step_norm);
    case StepOutcome::Accepted:
      break;
  }
  return fmt::format(
      "{}, {}, {}{}{}, |step| {:.3g}{}{}{}{}{}, {} iterations ({}){}{}", start, gradient,
      damping_text(lambda, radius), examples_text(examples, examples_basis), ratio_text(ratio),
      step_norm, shortening_text(shortening), share_text(step_share, "max_step_norm"),
      share_text(caution, "after a step that was taken back"), bound_text(bound_share),
      nats_text(nats, nats_basis), solver.iterations, to_string(solver.termination),
      negative_weights > 0 ? fmt::format(", {} negative weights", negative_weights) : "",
      curvature.empty() ? "" : ", " + curvature);
}

}  // namespace natgrad
