// Words from their neighbours with negative sampling (Mikolov et al. 2013).

#include "models/models.h"

namespace zoo {

Model skip_gram() {
  using namespace torch::nn;
  constexpr int64_t kWords = 30, kNegatives = 4, kDimension = 8;
  const auto words = torch::randint(kWords, {kExamples});
  // A word's neighbours have its remainder by five.
  const auto neighbours = (words + 5 * torch::randint(6, {kExamples})).remainder(kWords);

  Embedding in(kWords, kDimension), out(kWords, kDimension);
  auto parameters = in->parameters();
  for (const auto& parameter : out->parameters()) parameters.push_back(parameter);

  return {parameters, [=](int64_t batch) mutable {
            const auto u = in->forward(rows(words, batch));
            const auto v = out->forward(rows(neighbours, batch));
            const auto w = out->forward(torch::randint(kWords, {kBatch, kNegatives}));
            const auto near = (u * v).sum(1);
            const auto far = torch::bmm(w, u.unsqueeze(2)).squeeze(2);
            return -(torch::log_sigmoid(near) + torch::log_sigmoid(-far).sum(1)).mean();
          }};
}

}  // namespace zoo
