// Texts as bags of words.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

struct TextClassifier : torch::nn::Module {
  TextClassifier(int64_t words, int64_t classes)
      : bag(register_module("bag", torch::nn::EmbeddingBag(words, 16))),
        head(register_module("head", torch::nn::Linear(16, classes))) {}

  Tensor forward(const Tensor& texts) { return head->forward(bag->forward(texts)); }

  torch::nn::EmbeddingBag bag;
  torch::nn::Linear head;
};

}  // namespace

Model embedding_bag() {
  constexpr int64_t kWords = 60, kClasses = 3, kLength = 12;
  const auto y = torch::randint(kClasses, {kExamples});
  const auto frequencies = torch::softmax(1.2 * torch::randn({kClasses, kWords}), 1);
  const auto texts = torch::multinomial(frequencies.index({y}), kLength, true);

  const auto model = std::make_shared<TextClassifier>(kWords, kClasses);

  return {model->parameters(), [=](int64_t batch) {
            return torch::cross_entropy_loss(model->forward(rows(texts, batch)), rows(y, batch));
          }};
}

}  // namespace zoo
