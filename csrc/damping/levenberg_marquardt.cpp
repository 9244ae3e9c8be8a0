#include <fmt/format.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace natgrad {

void LevenbergMarquardt::set_lambda(double lambda) {
  lambda_ = std::clamp(lambda, least_, largest_);
}

void LevenbergMarquardt::observe_ratio(double rho, bool /*at_the_edge*/) {
  judged_ = lambda();
  if (!std::isfinite(rho) || rho < poor_) {
    set_lambda(raise_ * lambda());
  } else if (rho > good_) {
    set_lambda(lower_ * lambda());
  }
}

void LevenbergMarquardt::accepted() {
  ++steps_;
  last_step_ = judged_.value_or(lambda());
  judged_.reset();
}

/// With hindsight the ρ of that step counts for nothing.
void LevenbergMarquardt::rejected() {
  set_lambda(raise_ * (hindsight_ ? last_step_.value_or(lambda()) : lambda()));
  last_step_.reset();
}

std::vector<double> LevenbergMarquardt::state() const {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> state = {lambda(), static_cast<double>(steps_)};
  if (hindsight_) state.insert(state.end(), {last_step_.value_or(kNone), judged_.value_or(kNone)});
  return state;
}

void LevenbergMarquardt::set_state(const std::vector<double>& state) {
  const auto is_lambda = [](double number) { return number > 0 && std::isfinite(number); };
  const auto is_none_or_lambda = [&](double number) {
    return std::isnan(number) || is_lambda(number);
  };
  // With hindsight there are 4 numbers; 3 in archives of version 4, before `judged_` was kept.
  const bool has_size = hindsight_ ? state.size() == 4 || state.size() == 3 : state.size() == 2;
  TORCH_CHECK(has_size && is_lambda(state[0]) && state[1] >= 0 &&
                  std::all_of(state.begin() + 2, state.end(), is_none_or_lambda),
              "natgrad: LevenbergMarquardt's state is λ > 0 and a number of steps, with hindsight "
              "also the λ of the last step and of the last ρ, but got ",
              c10::ArrayRef<double>(state), ".");
  const auto if_there = [&](size_t place) {
    const bool is_there = place < state.size() && !std::isnan(state[place]);
    return is_there ? std::optional(state[place]) : std::nullopt;
  };
  set_lambda(state[0]);
  steps_ = static_cast<int64_t>(state[1]);
  last_step_ = if_there(2);
  judged_ = if_there(3);
}

std::string LevenbergMarquardt::describe() const {
  return fmt::format(
      "LevenbergMarquardt(initial={}, raise={}, lower={}, poor={}, good={}, interval={}, least={}, "
      "largest={}, hindsight={})",
      initial_, raise_, lower_, poor_, good_, interval_, least_, largest_, hindsight_);
}

void LevenbergMarquardt::check_options() const {
  TORCH_CHECK(least_ > 0 && least_ <= largest_ && std::isfinite(largest_),
              "natgrad: LevenbergMarquardt's least and largest λ are finite numbers with 0 < least "
              "<= largest, but are ",
              least_, " and ", largest_, ".");
  TORCH_CHECK(initial_ >= least_ && initial_ <= largest_,
              "natgrad: LevenbergMarquardt's initial λ lies between its least, ", least_,
              ", and its largest, ", largest_, ", but is ", initial_, ".");
  TORCH_CHECK(raise_ > 1 && std::isfinite(raise_),
              "natgrad: LevenbergMarquardt's raise is a finite factor > 1, but is ", raise_, ".");
  TORCH_CHECK(lower_ > 0 && lower_ <= 1,
              "natgrad: LevenbergMarquardt's lower is a factor in (0, 1], but is ", lower_, ".");
  TORCH_CHECK(poor_ < good_ && std::isfinite(poor_) && std::isfinite(good_),
              "natgrad: LevenbergMarquardt's poor and good are finite ratios with poor < good, but "
              "are ",
              poor_, " and ", good_, ".");
  TORCH_CHECK(interval_ >= 1,
              "natgrad: LevenbergMarquardt's interval is a number of steps >= 1, but is ",
              interval_, ".");
}

std::unique_ptr<Damping> LevenbergMarquardt::clone() const {
  check_options();
  return std::make_unique<LevenbergMarquardt>(*this);
}

}  // namespace natgrad
