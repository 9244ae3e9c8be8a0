#include "diagnostics/term_verdict.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_set>

namespace natgrad {

const char* to_string(Breach breach) {
  switch (breach) {
    case Breach::None:
      return "None";
    case Breach::DependsOnTarget:
      return "DependsOnTarget";
    case Breach::NotFisher:
      return "NotFisher";
    case Breach::OwnLoss:
      return "OwnLoss";
    case Breach::NoDistribution:
      return "NoDistribution";
  }
  TORCH_CHECK(false, "natgrad: not a Breach: ", static_cast<int>(breach));
}

namespace detail {
namespace {

Breach breach_of(const TermCondition& condition, bool is_own, double tolerance) {
  if (!condition.gap) return Breach::NoDistribution;
  if (is_own && !condition.equal) return Breach::OwnLoss;
  if (condition.target_gap && !(*condition.target_gap <= tolerance)) return Breach::DependsOnTarget;
  return condition.equal ? Breach::None : Breach::NotFisher;
}

/// That z is what a link function makes of natural parameters, if so.
std::string words_on_link(const std::string& below) {
  static const std::unordered_set<std::string> links = {"Softmax",  "LogSoftmax", "Sigmoid",
                                                        "Softplus", "Exp",        "Tanh"};
  if (!links.contains(below)) return "";
  return fmt::format(
      ". The split lies above {0}, so that {0} belongs to the network: G depends on that, F does "
      "not. Mark what goes into {0}",
      below);
}

std::string words_on_told(const TermCondition& condition) {
  return condition.told.value_or(false)
             ? ", although its hessian_is_fisher() says that it is F_R for every y: that, log_prob "
               "or fisher_multiply is wrong"
             : "";
}

std::string words_on_own_targets(const TermCondition& condition, double tolerance) {
  if (!condition.target_gap) return "whether H_L depends on y is not known";
  return *condition.target_gap <= tolerance
             ? "H_L does not depend on y, so that G is the Fisher matrix of r ∝ exp(-L), if its "
               "normaliser is constant (ExpLoss tells)"
             : "H_L depends on y";
}

std::string reason_of(const TermCondition& condition, double tolerance) {
  switch (condition.breach) {
    case Breach::None:
      return "";
    case Breach::DependsOnTarget:
      return fmt::format("H_L depends on y: z is no natural parameter of {}{}{}", condition.family,
                         words_on_told(condition), words_on_link(condition.below));
    case Breach::NotFisher:
      return fmt::format(
          "H_L is the same at all targets seen, but it is not F_R, as of a density with a kink, "
          "which holds the curvature{}",
          words_on_told(condition));
    case Breach::OwnLoss:
      return fmt::format("the loss is another function of z than -log r of {}{}", condition.family,
                         words_on_link(condition.below));
    case Breach::NoDistribution:
      break;
  }
  return fmt::format("no distribution of z is named, so that there is no F_R; {}{}",
                     words_on_own_targets(condition, tolerance), words_on_link(condition.below));
}

std::string figures_of(const TermCondition& condition) {
  std::string text;
  if (condition.gap) text += fmt::format("|H_L - sF_R|/|sF_R| {:.2g}", *condition.gap);
  if (condition.target_gap) {
    text += fmt::format("{}other targets ({}) change H_L by {:.2g}", text.empty() ? "" : ", ",
                        condition.targets, *condition.target_gap);
  } else {
    text += fmt::format("{}no other targets ({})", text.empty() ? "" : ", ", condition.targets);
  }
  if (condition.share && *condition.share > 0) {
    text += fmt::format("; its share of |Fv - Gv|/|Gv| is {:.2g}", *condition.share);
  }
  return text;
}

std::string verdict_of(const TermCondition& condition) {
  if (condition.breach != Breach::None) return fmt::format("breaks it: {}", condition.reason);
  return condition.holds ? "H_L = F_R for every y" : "H_L = F_R at these y, others are not known";
}

}  // namespace

void judge_term(TermCondition& condition, bool is_own, double tolerance) {
  condition.equal = condition.gap && *condition.gap <= tolerance;
  condition.breach = breach_of(condition, is_own, tolerance);
  // Where targets cannot be varied the family's word has to do; it says nothing of another loss.
  const bool is_known = condition.target_gap || (!is_own && condition.told.value_or(false));
  condition.holds = condition.breach == Breach::None && is_known;
  condition.reason = reason_of(condition, tolerance);
}

std::string line_of(const TermCondition& condition) {
  return fmt::format("{} on z [{}], between {} and {}: {} ({})",
                     condition.family.empty() ? "a loss of your own" : condition.family,
                     fmt::join(condition.shape, ", "), condition.below, condition.above,
                     verdict_of(condition), figures_of(condition));
}

}  // namespace detail
}  // namespace natgrad
