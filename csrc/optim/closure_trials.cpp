#include "optim/closure_trials.h"
#include <torch/torch.h>
#include "linalg/norm.h"

#include <algorithm>
#include <cmath>

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr double kRoundings = 10;  // of a loss, a sum over the batch
// Of h(θ) against itself, relative: two evaluations may add up in another order on a GPU, but new
// data change more.
constexpr double kSameLossFloat = 1e-4, kSameLossDouble = 1e-9;

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

ClosureTrials::ClosureTrials(const Evaluator& h, ReplayedBatch* other, bool compares)
    : h_(h), batch_(other ? *other : h.batch()), compares_(compares) {
  if (!other) start_ = h.value();
}

double ClosureTrials::evaluate_start() const { return h_.at(/*d=*/{}, batch_); }

void ClosureTrials::check() {
  if (!start_ || is_checked_) return;
  check_same(*start_, evaluate_start(), h_.parameters().options().dtype() == torch::kDouble);
  is_checked_ = true;
}

double ClosureTrials::start() {
  if (!start_) start_ = evaluate_start();
  if (compares_) check();
  return *start_;
}

double ClosureTrials::at(const Tensor& d) { return h_.at(d, batch_); }

double ClosureTrials::at(const Tensor& d, Tensor& gradient) { return h_.at(d, batch_, &gradient); }

Tensor ClosureTrials::residuals(const Tensor& d) {
  return &batch_ == &h_.batch() ? h_.residuals_at(d) : Tensor();
}

double ClosureTrials::rounding() {
  return kRoundings * rounding_of(h_.parameters().options()) * std::abs(start());
}

}  // namespace natgrad::detail
