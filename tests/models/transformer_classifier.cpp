// Which of four words is the most frequent: a transformer encoder with dropout, means over tokens.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

constexpr int64_t kWidth = 16, kTokens = 8;

struct TransformerClassifier : torch::nn::Module {
  TransformerClassifier()
      : embedding(register_module("embedding", torch::nn::Embedding(6, kWidth))),
        positions(register_parameter("positions", 0.1 * torch::randn({kTokens, 1, kWidth}))),
        block(register_module(
            "block",
            torch::nn::TransformerEncoderLayer(
                torch::nn::TransformerEncoderLayerOptions(kWidth, 2).dim_feedforward(32).dropout(
                    0.1)))),
        head(register_module("head", torch::nn::Linear(kWidth, 4))) {}

  Tensor forward(const Tensor& tokens) {
    const auto h = embedding->forward(tokens.t()) + positions;
    return head->forward(block->forward(h).mean(0));
  }

  torch::nn::Embedding embedding;
  Tensor positions;
  torch::nn::TransformerEncoderLayer block;
  torch::nn::Linear head;
};

}  // namespace

Model transformer_classifier() {
  const auto tokens = torch::randint(6, {kExamples, kTokens});
  const auto y = torch::one_hot(tokens, 6).sum(1).narrow(1, 0, 4).argmax(1);

  const auto model = std::make_shared<TransformerClassifier>();

  return {model->parameters(), [=](int64_t batch) {
            const auto logits = model->forward(rows(tokens, batch));
            return torch::cross_entropy_loss(logits, rows(y, batch));
          }};
}

}  // namespace zoo
