#include "support/example_network_parts.h"

#include <array>

#include "support/networks.h"

namespace natgrad::testing::example_network_parts {
namespace {

ExampleNetwork embedding() {
  const auto table = parameter({7, 4}, 511), v = parameter({kClasses, 8}, 512);
  return {{table, v}, words(), [=](const Tensor& x) {
            return torch::linear(torch::embedding(table, x).flatten(1), v);
          }};
}

ExampleNetwork embedding_of_one_word() {
  const auto table = parameter({7, 4}, 513), numbers = parameter({7}, 514);
  return {{table, numbers}, words(), [=](const Tensor& x) {
            const auto word = x.select(1, 1);
            return mixed(torch::embedding(table, word, /*padding_idx=*/1) +
                         numbers.index({word - 7}).unsqueeze(1));
          }};
}

ExampleNetwork embedding_tied_to_the_output() {
  const auto table = parameter({kClasses, 4}, 521), w = parameter({4, 4}, 522);
  const auto indices = torch::tensor({0, 2, 1, 1, 2});
  return {{table, w}, indices, [=](const Tensor& x) {
            return torch::linear(torch::linear(torch::embedding(table, x), w).tanh(), table);
          }};
}

/// Of users' and items' vectors, each item's one above another's.
ExampleNetwork tables_looked_up_twice() {
  const auto user = parameter({7, 4}, 523), item = parameter({7, 4}, 524);
  return {{user, item}, words(), [=](const Tensor& x) {
            const auto u = user.index_select(0, x.select(1, 0));
            const auto liked = item.index({x.select(1, 1)}),
                       other = item.index({6 - x.select(1, 0)});
            return mixed(u * (liked.sin() - other) + user.index_select(0, x.select(1, 1)));
          }};
}

ExampleNetwork bags_of_embeddings() {
  const auto summed = parameter({7, 4}, 525), averaged = parameter({7, 4}, 526);
  return {
      {summed, averaged}, words(), [=](const Tensor& x) {
        const auto bag = [&](const Tensor& table, int64_t mode, const Tensor& weights,
                             int64_t padding) {
          return std::get<0>(torch::embedding_bag(table, x.flatten(), 2 * torch::arange(x.size(0)),
                                                  false, mode, false, weights, false, padding));
        };
        const auto weights = x.flatten().to(torch::kDouble) / 3 - 1;
        return mixed(bag(summed, 0, weights, -1) * bag(averaged, 1, {}, 3));
      }};
}

/// As many time steps as examples.
ExampleNetwork positions_before_batch() {
  const auto table = parameter({7, 4}, 527), positions = parameter({kBatch, 1, 4}, 528);
  const auto w = parameter({2, 4}, 529);
  const auto indices = torch::cat({words(), words().flip(0), words().narrow(1, 1, 1)}, 1);
  return {{table, positions, w}, indices, [=](const Tensor& x) {
            const auto h = (torch::embedding(table, x.t()) + positions).tanh();
            return mixed(torch::linear(h, w).transpose(0, 1));
          }};
}

ExampleNetwork positions_of_a_longer_table() {
  const auto table = parameter({7, 4}, 531), looked_up = parameter({3, 4}, 532);
  const auto sliced = parameter({4, 4}, 533);
  return {{table, looked_up, sliced}, words(), [=](const Tensor& x) {
            const auto at = torch::arange(x.size(1));
            const auto h =
                torch::embedding(table, x) + torch::embedding(looked_up, at).unsqueeze(0);
            return mixed(h.sin() + sliced.narrow(0, 1, x.size(1)));
          }};
}

ExampleNetwork class_token() {
  const auto token = parameter({1, 1, 4}, 534), w = parameter({2, 4}, 535);
  return {{token, w}, sequences(2, 4), [=](const Tensor& x) {
            const auto all = torch::cat({token.expand({x.size(0), 1, 4}), x}, 1);
            return mixed(torch::linear(all, w));
          }};
}

ExampleNetwork token_before_batch() {
  const auto token = parameter({1, 1, 4}, 536), w = parameter({2, 4}, 537);
  return {{token, w}, sequences(2, 4), [=](const Tensor& x) {
            const auto all = torch::cat({x.transpose(0, 1), token.expand({1, x.size(0), 4})});
            return mixed(torch::linear(all, w).transpose(0, 1));
          }};
}

}  // namespace

std::vector<ExampleNetworkCase> networks_of_tables() {
  return {
      {"Embedding", embedding, {true, true}, 2},
      {"EmbeddingOfOneWord", embedding_of_one_word, {true, true}, 2},
      {"EmbeddingTiedToTheOutput", embedding_tied_to_the_output, {true, true}, 3},
      {"TablesLookedUpTwice", tables_looked_up_twice, {true, true}, 4},
      {"BagsOfEmbeddings", bags_of_embeddings, {true, true}, 2, false},
      {"PositionsBeforeBatch", positions_before_batch, {true, true, true}, 3},
      {"PositionsOfALongerTable", positions_of_a_longer_table, {true, true, true}, 3},
      {"ClassToken", class_token, {true, true}, 2},
      {"TokenBeforeBatch", token_before_batch, {true, true}, 2},
  };
}

}  // namespace natgrad::testing::example_network_parts
