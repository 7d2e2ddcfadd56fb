"""The realtime hub: sockets that speak Centrifugo's client protocol, channels, brokers.

Knows neither database nor domains: who may connect and join is asked of callables.
"""
