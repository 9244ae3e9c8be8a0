#include <fmt/format.h>
#include <natgrad/step_control/adaptive_rate.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace natgrad {

double AdaptiveRate::next_rate(double loss) const {
  const double gap = std::max(0., loss - least_loss_);  // 0 for NaN too
  const double rate = this->rate() * std::exp(alpha_ * (beta_ * gap - this->rate()));
  // From an η of 0 there is no way back.
  return std::clamp(rate, std::numeric_limits<double>::min(), largest_);
}

Step AdaptiveRate::choose(const StepProblem& problem) {
  const double rate = this->rate();
  rate_ = next_rate(problem.loss);
  return {rate * problem.at_rate(problem.solution.x), problem.solution.x};
}

void AdaptiveRate::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.size() == 1 && state[0] > 0 && std::isfinite(state[0]),
              "natgrad: AdaptiveRate's state is its rate η > 0, but got ",
              c10::ArrayRef<double>(state), ".");
  rate_ = std::min(state[0], largest_);
}

std::string AdaptiveRate::describe() const {
  return fmt::format("AdaptiveRate(initial={}, alpha={}, beta={}, least_loss={}, largest={})",
                     initial_, alpha_, beta_, least_loss_, largest_);
}

void AdaptiveRate::check_options() const {
  const auto check_positive = [](const char* name, double value) {
    TORCH_CHECK(value > 0 && std::isfinite(value), "natgrad: AdaptiveRate's ", name,
                " is a finite number > 0, but is ", value, ".");
  };
  check_positive("alpha", alpha_);
  check_positive("beta", beta_);
  check_positive("largest", largest_);
  check_positive("initial", initial_);
  TORCH_CHECK(initial_ <= largest_, "natgrad: AdaptiveRate's initial rate is at most its largest, ",
              largest_, ", but is ", initial_, ".");
  TORCH_CHECK(std::isfinite(least_loss_),
              "natgrad: AdaptiveRate's least_loss is a finite loss, but is ", least_loss_, ".");
}

std::unique_ptr<StepRule> AdaptiveRate::clone() const {
  check_options();
  return std::make_unique<AdaptiveRate>(*this);
}

}  // namespace natgrad
