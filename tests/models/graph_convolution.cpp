// Communities of a graph from a few labelled nodes and weak features (Kipf & Welling 2017): one
// dense adjacency matrix, the same loss at each step.

#include "models/models.h"

namespace zoo {
namespace {

/// D^-1/2 (A + I) D^-1/2 of a random graph whose edges are denser within a community.
Tensor normalized_adjacency(const Tensor& community) {
  const auto same = community.unsqueeze(0) == community.unsqueeze(1);
  const auto chance = torch::where(same, 0.15, 0.02).triu(1);
  const auto half = torch::bernoulli(chance).to(torch::kFloat);
  const auto a = half + half.t() + torch::eye(community.size(0));
  const auto scale = a.sum(1).rsqrt();
  return scale.unsqueeze(1) * a * scale;
}

}  // namespace

Model graph_convolution() {
  using namespace torch::nn;
  constexpr int64_t kNodes = 128, kLabelled = 64;
  const auto community = torch::randint(4, {kNodes});
  const auto a = normalized_adjacency(community);
  const auto x = torch::randn({kNodes, 8}) + 0.5 * torch::randn({4, 8}).index({community});
  const auto labelled = torch::randperm(kNodes).narrow(0, 0, kLabelled);

  Linear first(8, 16), second(16, 4);
  auto parameters = first->parameters();
  for (const auto& parameter : second->parameters()) parameters.push_back(parameter);

  return {parameters, [=](int64_t) mutable {
            const auto h = torch::relu(a.mm(first->forward(x)));
            const auto logits = a.mm(second->forward(h));
            return functional::cross_entropy(logits.index({labelled}), community.index({labelled}));
          }};
}

}  // namespace zoo
