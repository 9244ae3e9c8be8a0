#include "support/training.h"

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"

namespace natgrad::testing {

namespace F = torch::nn::functional;
namespace nn = torch::nn;

nn::Sequential classifier(bool noisy) {
  nn::Sequential model;
  model->push_back(nn::Linear(3, 5));
  if (noisy) model->push_back(nn::BatchNorm1d(5));
  model->push_back(nn::Tanh());
  if (noisy) model->push_back(nn::Dropout(0.3));
  model->push_back(nn::Linear(5, 4));
  model->to(torch::kDouble);
  const torch::NoGradGuard no_grad;
  uint64_t seed = 4000;
  for (auto& parameter : model->parameters())
    parameter.copy_(0.6 * randn(parameter.sizes(), seed++));
  return model;
}

Training::Training(const NaturalGradientOptions& options)
    : model(classifier()),
      optimizer(std::make_unique<NaturalGradient>(model->parameters(), options)) {}

Tensor Training::inputs(int64_t k) { return randn({12, 3}, 4100 + k); }
Tensor Training::labels(int64_t k) {
  return torch::randint(4, {12}, seeded(4200 + k), torch::TensorOptions(torch::kLong));
}
Tensor Training::loss(int64_t k) { return F::cross_entropy(outputs(k), labels(k)); }
Tensor Training::theta() const { return flat(parameters()).detach().clone(); }

void expect_no_trace(const Fault& fault, const NaturalGradientOptions& options) {
  for (const int accepted : {0, 2}) {
    SCOPED_TRACE("after " + std::to_string(accepted) + " accepted steps");
    Training faulty(options), sound(options);
    for (auto* training : {&faulty, &sound}) {
      for (int k = 0; k < accepted; ++k) training->good_step();
    }
    const Snapshot before(faulty.parameters(), faulty.model.ptr(), faulty.optimizer.get());
    fault(faulty);
    before.expect_unchanged();
    faulty.good_step();
    sound.good_step();
    EXPECT_TRUE(same_bits(faulty.theta(), sound.theta())) << "the optimizer's state was changed";
    EXPECT_EQ(faulty.summary().lambda, sound.summary().lambda);
    EXPECT_EQ(faulty.summary().step, sound.summary().step);
  }
}

void expect_no_trace_of_error(const Fault& fault, const std::string& needle,
                              const NaturalGradientOptions& options) {
  expect_no_trace([&](Training& training) { expect_error([&] { fault(training); }, needle); },
                  options);
}

ConjugateGradient tight_solver() {
  return ConjugateGradient().max_iterations(2000).tolerance(1e-14);
}

}  // namespace natgrad::testing
