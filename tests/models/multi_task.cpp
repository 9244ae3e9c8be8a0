// A regression and a classification from one trunk, their losses weighed by learned uncertainties
// (Kendall, Gal & Cipolla 2018).

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct MultiTask : torch::nn::Module {
  MultiTask()
      : trunk(register_module("trunk", torch::nn::Linear(8, 32))),
        value(register_module("value", torch::nn::Linear(32, 1))),
        kind(register_module("kind", torch::nn::Linear(32, 3))),
        log_variances(register_parameter("log_variances", torch::zeros({2}))) {}

  Tensor loss(const Tensor& x, const Tensor& values, const Tensor& kinds) {
    const auto h = torch::tanh(trunk->forward(x));
    const auto regression = torch::mse_loss(value->forward(h).squeeze(1), values);
    const auto classification = torch::cross_entropy_loss(kind->forward(h), kinds);
    const auto s = log_variances;
    return torch::exp(-s[0]) * regression + s[0] + torch::exp(-s[1]) * classification + s[1];
  }

  torch::nn::Linear trunk, value, kind;
  Tensor log_variances;
};

}  // namespace

Model multi_task() {
  const auto x = torch::randn({kExamples, 8});
  const auto values = torch::sin(x.select(1, 0)) + x.select(1, 1) + 0.3 * torch::randn({kExamples});
  const auto kinds = x.mm(torch::randn({8, 3})).argmax(1);

  const auto model = std::make_shared<MultiTask>();

  return {model->parameters(), [=](int64_t batch) {
            return model->loss(rows(x, batch), rows(values, batch), rows(kinds, batch));
          }};
}

}  // namespace zoo
