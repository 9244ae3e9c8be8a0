#include "support/evaluation.h"

#include <torch/utils.h>

#include <algorithm>

namespace examples {
namespace {

// A convolutional network on all of MNIST at once would take gigabytes.
constexpr int64_t kEvaluatedAtOnce = 5000;

}  // namespace

double mean_over(const Batch& examples, const std::function<torch::Tensor(const Batch&)>& measure) {
  const torch::NoGradGuard no_grad;
  const int64_t size = examples.data.size(0);
  double sum = 0;
  for (int64_t begin = 0; begin < size; begin += kEvaluatedAtOnce) {
    const int64_t end = std::min(begin + kEvaluatedAtOnce, size);
    const Batch chunk(examples.data.slice(0, begin, end), examples.target.slice(0, begin, end));
    sum += (end - begin) * measure(chunk).to(torch::kDouble).mean().item<double>();
  }
  return sum / size;
}

}  // namespace examples
