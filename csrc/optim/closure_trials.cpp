#include "optim/closure_trials.h"
#include <torch/torch.h>
#include "linalg/norm.h"

#include <cmath>

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr double kRoundings = 10;  // of a loss, a sum over the batch
// Of h(θ) against itself, relative: two evaluations may add up in another order on a GPU, but new
// data change more.
constexpr double kSameLossFloat = 1e-4, kSameLossDouble = 1e-9;

/// While it lives the parameters hold other values. They get their own data back, the very memory.
class MovedParameters {
 public:
  MovedParameters(const ParameterLayout& parameters, const Tensor& theta)
      : parameters_(parameters.tensors()) {
    const auto values = parameters.views(theta);
    for (size_t i = 0; i < parameters_.size(); ++i) {
      own_.push_back(parameters_[i].detach());
      parameters_[i].set_data(values[i]);
    }
  }
  ~MovedParameters() {
    for (size_t i = 0; i < own_.size(); ++i) parameters_[i].set_data(own_[i]);
  }
  MovedParameters(const MovedParameters&) = delete;
  MovedParameters& operator=(const MovedParameters&) = delete;

 private:
  std::vector<Tensor> parameters_, own_;
};

void check_same(double first, double again, bool is_double) {
  const double tolerance = is_double ? kSameLossDouble : kSameLossFloat;
  const bool same = std::abs(again - first) <= tolerance * std::max(std::abs(first), 1.0);
  TORCH_CHECK(same || !std::isfinite(first), "natgrad: the closure returned ", first,
              " and, called again at the same parameters, ", again,
              ". A step is judged by the loss at trial points, so the closure must use the same "
              "data each time: draw the batch before step, not in the closure, and take random "
              "numbers from LibTorch's default generators, which are replayed.");
}

}  // namespace

ClosureTrials::ClosureTrials(ReplayedBatch& batch, const ParameterLayout& parameters,
                             Tensor weight_decay, bool maximize, std::optional<double> known,
                             bool first)
    : batch_(batch),
      parameters_(parameters),
      weight_decay_(std::move(weight_decay)),
      sign_(maximize ? -1 : 1),
      start_(known),
      compares_(first) {}

void ClosureTrials::check() {
  if (!start_ || is_checked_) return;
  const double again = evaluate(parameters_.values(), nullptr);
  check_same(*start_, again, parameters_.options().dtype() == torch::kDouble);
  is_checked_ = true;
}

double ClosureTrials::start() {
  if (!start_) start_ = evaluate(parameters_.values(), nullptr);
  if (compares_) check();
  return *start_;
}

double ClosureTrials::at(const Tensor& d) { return evaluate(parameters_.values() + d, nullptr); }

double ClosureTrials::at(const Tensor& d, Tensor& gradient) {
  return evaluate(parameters_.values() + d, &gradient);
}

double ClosureTrials::rounding() {
  return kRoundings * rounding_of(parameters_.options()) * std::abs(start());
}

double ClosureTrials::evaluate(const Tensor& theta, Tensor* gradient) {
  const MovedParameters moved(parameters_, theta);
  const auto count = static_cast<double>(batch_.chunks());
  double h = 0;
  if (gradient) *gradient = torch::zeros_like(theta);
  for (int64_t k = 0; k < batch_.chunks(); ++k) {
    const torch::AutoGradMode mode(gradient || batch_.runs_backward());
    const auto loss = batch_.evaluate(k);
    h += sign_ * loss.item<double>() / count;
    if (!gradient) continue;
    const auto pieces = torch::autograd::grad({loss}, parameters_.tensors(), {}, false, false,
                                              /*allow_unused=*/true);
    gradient->add_(parameters_.flatten(pieces), sign_ / count);
  }
  if (weight_decay_.defined()) {
    h += 0.5 * (weight_decay_ * theta).dot(theta).item<double>();
    if (gradient) gradient->add_(weight_decay_ * theta);
  }
  return h;
}

}  // namespace natgrad::detail
