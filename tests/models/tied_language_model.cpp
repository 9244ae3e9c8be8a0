// A causal transformer over tokens whose output layer is the embedding's matrix.

#include <memory>

#include "models/models.h"

namespace zoo {
namespace {

constexpr int64_t kVocabulary = 20, kLength = 12, kHeads = 2, kChannels = 24;

struct TiedLanguageModel : torch::nn::Module {
  TiedLanguageModel()
      : embedding(register_module("embedding", torch::nn::Embedding(kVocabulary, kChannels))),
        positions(register_parameter("positions", 0.1 * torch::randn({kLength, kChannels}))),
        norm(register_module("norm", torch::nn::LayerNorm(layer_norm()))),
        qkv(register_module("qkv", torch::nn::Linear(kChannels, 3 * kChannels))),
        projection(register_module("projection", torch::nn::Linear(kChannels, kChannels))),
        mlp_norm(register_module("mlp_norm", torch::nn::LayerNorm(layer_norm()))),
        widen(register_module("widen", torch::nn::Linear(kChannels, 2 * kChannels))),
        narrow(register_module("narrow", torch::nn::Linear(2 * kChannels, kChannels))) {
    torch::nn::init::normal_(embedding->weight, 0, 0.2);
  }

  static torch::nn::LayerNormOptions layer_norm() {
    return torch::nn::LayerNormOptions({kChannels});
  }

  Tensor attend(const Tensor& h) {
    const int64_t batch = h.size(0);
    const auto heads = qkv->forward(h).view({batch, kLength, 3, kHeads, kChannels / kHeads});
    const auto parts = heads.permute({2, 0, 3, 1, 4}).unbind(0);  // each [batch, head, time, ...]
    const auto mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2], {}, 0, true);
    return projection->forward(mixed.transpose(1, 2).reshape({batch, kLength, kChannels}));
  }

  Tensor forward(const Tensor& tokens) {
    auto h = embedding->forward(tokens) + positions;
    h = h + attend(norm->forward(h));
    h = h + narrow->forward(torch::gelu(widen->forward(mlp_norm->forward(h))));
    return torch::matmul(h, embedding->weight.t());
  }

  torch::nn::Embedding embedding;
  Tensor positions;
  torch::nn::LayerNorm norm;
  torch::nn::Linear qkv, projection;
  torch::nn::LayerNorm mlp_norm;
  torch::nn::Linear widen, narrow;
};

/// Chains in which two words can follow each word.
Tensor draw_sentences() {
  std::vector<Tensor> words{torch::randint(kVocabulary, {kExamples})};
  for (int64_t t = 0; t < kLength; ++t) {
    words.push_back((3 * words.back() + torch::randint(2, {kExamples})).remainder(kVocabulary));
  }
  return torch::stack(words, 1);
}

}  // namespace

Model tied_language_model() {
  const auto sentences = draw_sentences();

  const auto model = std::make_shared<TiedLanguageModel>();

  return {model->parameters(), [=](int64_t batch) {
            const auto words = rows(sentences, batch);
            const auto logits = model->forward(words.narrow(1, 0, kLength));
            return torch::cross_entropy_loss(logits.flatten(0, 1),
                                             words.narrow(1, 1, kLength).flatten());
          }};
}

}  // namespace zoo
