// The next value of a damped wave after each of its values, by a GRU.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct GruForecaster : torch::nn::Module {
  GruForecaster()
      : gru(register_module("gru", torch::nn::GRU(torch::nn::GRUOptions(1, 16).batch_first(true)))),
        head(register_module("head", torch::nn::Linear(16, 1))) {}

  Tensor forward(const Tensor& x) { return head->forward(std::get<0>(gru->forward(x))); }

  torch::nn::GRU gru;
  torch::nn::Linear head;
};

}  // namespace

Model gru_forecaster() {
  constexpr int64_t kTimes = 10;
  const auto time = torch::arange(kTimes + 1);
  const auto frequencies = 0.3 + torch::rand({kExamples, 1});
  const auto phases = 6.28 * torch::rand({kExamples, 1});
  const auto waves = torch::exp(-0.05 * time) * torch::sin(frequencies * time + phases);
  const auto series = (waves + 0.05 * torch::randn_like(waves)).unsqueeze(2);

  const auto model = std::make_shared<GruForecaster>();

  return {model->parameters(), [=](int64_t batch) {
            const auto values = rows(series, batch);
            return torch::mse_loss(model->forward(values.narrow(1, 0, kTimes)),
                                   values.narrow(1, 1, kTimes));
          }};
}

}  // namespace zoo
