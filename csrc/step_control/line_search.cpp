#include <fmt/format.h>
#include <natgrad/step_control/line_search.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

namespace natgrad {
namespace {

using torch::Tensor;

void check_settings(const LineSearch& rule) {
  const auto is_share = [](double number) { return number > 0 && number < 1; };
  TORCH_CHECK(is_share(rule.shrink()), "natgrad: LineSearch's shrink lies in (0, 1), but is ",
              rule.shrink(), ".");
  TORCH_CHECK(is_share(rule.sufficient_decrease()),
              "natgrad: LineSearch's sufficient_decrease lies in (0, 1), but is ",
              rule.sufficient_decrease(), ".");
  TORCH_CHECK(rule.max_trials() >= 1, "natgrad: LineSearch needs max_trials >= 1, but got ",
              rule.max_trials(), ".");
}

/// A displacement, gᵀd, and h there.
struct Trial {
  Tensor displacement;
  double slope;
  double loss = std::numeric_limits<double>::infinity();
};

/// The trials of one step.
class Trials {
 public:
  explicit Trials(const StepProblem& problem)
      : problem_(problem), gradient_(problem.gradient.to(torch::kDouble)) {}

  /// d = r α x, not tried yet.
  Trial along(const Tensor& x) const {
    const Tensor d = problem_.at_rate(x);
    return {d, gradient_.dot(d.to(torch::kDouble)).item<double>()};
  }

  double loss_at(const Tensor& d) const {
    const double loss = problem_.trials->at(d);
    return std::isfinite(loss) ? loss : std::numeric_limits<double>::infinity();
  }

  /// Back from `last` through the snapshots, the newest first, while h falls.
  Trial backtracked_from(Trial last) const {
    const auto& snapshots = problem_.solution.snapshots;
    for (auto x = snapshots.rbegin(); x != snapshots.rend(); ++x) {
      Trial earlier = along(*x);
      if (!(earlier.slope < 0)) break;
      earlier.loss = loss_at(earlier.displacement);
      if (!(earlier.loss < last.loss) && std::isfinite(last.loss)) break;
      last = earlier;
    }
    return last;
  }

 private:
  const StepProblem& problem_;
  Tensor gradient_;
};

}  // namespace

Step LineSearch::choose(const StepProblem& problem) {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  TORCH_CHECK(
      problem.trials,
      "natgrad: LineSearch tries steps out, so that the loss is needed at other parameters: "
      "call `step` with a closure that computes it.");
  const Trials trials(problem);
  Trial proposal = trials.along(problem.solution.x);
  Step step{torch::zeros_like(proposal.displacement), problem.solution.x};
  step.found = false;
  if (!(proposal.slope < 0)) return step;
  proposal.loss = trials.loss_at(proposal.displacement);
  if (backtrack_) proposal = trials.backtracked_from(proposal);
  step.proposal = proposal.displacement;
  step.proposal_loss = proposal.loss;

  const double start = problem.trials->start() + problem.trials->rounding();
  double beta = 1, loss = proposal.loss;
  for (int64_t trial = 0; trial < max_trials_ && !step.found; ++trial) {
    if (trial > 0) {
      beta *= shrink_;
      loss = trials.loss_at(beta * proposal.displacement);
    }
    step.found =
        std::isfinite(loss) && loss <= start + sufficient_decrease_ * beta * proposal.slope;
  }
  if (step.found) {
    step.displacement = beta * proposal.displacement;
    step.loss = loss;
  }
  return step;
}

std::string LineSearch::describe() const {
  return fmt::format("LineSearch(shrink={}, sufficient_decrease={}, max_trials={}, backtrack={})",
                     shrink_, sufficient_decrease_, max_trials_, backtrack_);
}

std::unique_ptr<StepRule> LineSearch::clone() const {
  check_settings(*this);
  return std::make_unique<LineSearch>(*this);
}

}  // namespace natgrad
