#include <fmt/format.h>
#include <natgrad/damping/nielsen.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {

using torch::Tensor;

void Nielsen::set_lambda(double lambda) { lambda_ = std::clamp(lambda, least_, largest_); }

void Nielsen::observe_ratio(double rho, bool /*at_the_edge*/) {
  if (!(rho > 0) || !std::isfinite(rho)) return rejected();
  set_lambda(lambda() * std::max(1. / 3, 1 - std::pow(2 * rho - 1, 3)));
  growth_ = kFirstGrowth;
}

void Nielsen::rejected() {
  set_lambda(lambda() * growth_);
  growth_ *= kFirstGrowth;
}

void Nielsen::observe_diagonal(const Tensor& diagonal, bool goes_on) {
  const bool is_known = goes_on && longest_.defined() && longest_.sizes() == diagonal.sizes();
  longest_ = is_known ? diagonal.maximum(longest_.to(diagonal.options())) : diagonal;
  const auto capped = longest_.minimum(cap_ * cap_ * diagonal);
  const auto d = torch::where(capped > 0, capped, longest_);
  diagonal_ = torch::where(d > 0, d, 1);
}

std::vector<double> Nielsen::state() const {
  std::vector<double> state = {lambda(), growth_};
  if (!longest_.defined()) return state;
  const auto numbers = longest_.to(torch::kCPU, torch::kDouble).contiguous();
  state.insert(state.end(), numbers.data_ptr<double>(),
               numbers.data_ptr<double>() + numbers.numel());
  return state;
}

void Nielsen::set_state(const std::vector<double>& state) {
  const bool are_numbers = std::all_of(state.begin(), state.end(), [](double number) {
    return number >= 0 && std::isfinite(number);
  });
  TORCH_CHECK(state.size() >= 2 && are_numbers && state[0] > 0 && state[1] >= kFirstGrowth,
              "natgrad: Nielsen's state is λ > 0, its growth >= 2 and the squares of the longest "
              "columns, but got ",
              c10::ArrayRef<double>(state), ".");
  set_lambda(state[0]);
  growth_ = state[1];
  diagonal_ = Tensor();
  longest_ = state.size() == 2 ? Tensor()
                               : torch::tensor(std::vector<double>(state.begin() + 2, state.end()),
                                               torch::kDouble);
}

std::string Nielsen::describe() const {
  return fmt::format("Nielsen(initial={}, cap={}, tries={}, least={}, largest={})", initial_, cap_,
                     tries_, least_, largest_);
}

void Nielsen::check_options() const {
  TORCH_CHECK(least_ > 0 && least_ <= largest_ && std::isfinite(largest_),
              "natgrad: Nielsen's least and largest λ are finite numbers with 0 < least <= "
              "largest, but are ",
              least_, " and ", largest_, ".");
  TORCH_CHECK(initial_ >= least_ && initial_ <= largest_,
              "natgrad: Nielsen's initial λ lies between its least, ", least_,
              ", and its largest, ", largest_, ", but is ", initial_, ".");
  TORCH_CHECK(cap_ >= 1, "natgrad: Nielsen's cap is a factor >= 1, but is ", cap_, ".");
  TORCH_CHECK(tries_ >= 1, "natgrad: Nielsen's tries are >= 1, but are ", tries_, ".");
}

std::unique_ptr<Damping> Nielsen::clone() const {
  check_options();
  return std::make_unique<Nielsen>(*this);
}

}  // namespace natgrad
