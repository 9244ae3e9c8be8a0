// The frequency of a noisy wave, from the last state of an LSTM.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct LstmClassifier : torch::nn::Module {
  LstmClassifier()
      : lstm(register_module("lstm",
                             torch::nn::LSTM(torch::nn::LSTMOptions(1, 16).batch_first(true)))),
        head(register_module("head", torch::nn::Linear(16, 3))) {}

  Tensor forward(const Tensor& x) {
    const auto outputs = std::get<0>(lstm->forward(x));
    return head->forward(outputs.select(1, -1));
  }

  torch::nn::LSTM lstm;
  torch::nn::Linear head;
};

}  // namespace

Model lstm_classifier() {
  const auto y = torch::randint(3, {kExamples});
  const auto frequencies = torch::tensor({0.4f, 1.0f, 2.0f}).index({y}).unsqueeze(1);
  const auto phases = 6.28 * torch::rand({kExamples, 1});
  const auto waves = torch::sin(frequencies * torch::arange(10) + phases);
  const auto x = (waves + 0.1 * torch::randn_like(waves)).unsqueeze(2);

  const auto model = std::make_shared<LstmClassifier>();

  return {model->parameters(), [=](int64_t batch) {
            return torch::cross_entropy_loss(model->forward(rows(x, batch)), rows(y, batch));
          }};
}

}  // namespace zoo
